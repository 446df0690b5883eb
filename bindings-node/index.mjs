// ambassador-proxy for ECMAScript modules: the very same objects as in index.js.
import ambassador from "./index.js";

export const {
  AmbassadorProxy,
  metrics,
  serveAdmin,
  setLogLevel,
  shutdown,
  snapshot,
  version,
  AmbassadorError,
  AuthError,
  BodyError,
  BulkheadFullError,
  CallTimeoutError,
  CircuitOpenError,
  ConfigError,
  ConnectError,
  DeadlineExceededError,
  ForkedError,
  InternalError,
  NoEndpointError,
  ProtocolError,
  RateLimitedError,
  ShutdownError,
  TlsError,
  TransportError,
} = ambassador;
