// ambassador-proxy for ECMAScript modules: the very same objects as in index.js.
import ambassador from "./index.js";

export const {
  AmbassadorProxy,
  shutdown,
  version,
  AmbassadorError,
  BulkheadFullError,
  CallTimeoutError,
  CircuitOpenError,
  ConfigError,
  DeadlineExceededError,
  ForkedError,
  InternalError,
  RateLimitedError,
  ShutdownError,
} = ambassador;
