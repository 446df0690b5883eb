// ambassador-proxy for ECMAScript modules: the very same objects as in index.js.
import ambassador from "./index.js";

export const {
  AmbassadorProxy,
  shutdown,
  version,
  AmbassadorError,
  CallTimeoutError,
  ConfigError,
  DeadlineExceededError,
  ForkedError,
  InternalError,
  ShutdownError,
} = ambassador;
