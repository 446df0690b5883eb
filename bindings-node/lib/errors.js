// The ambassador's own errors. Generated from core/errors.toml by `make generate`. Do not edit.
"use strict";

class AmbassadorError extends Error {
  constructor(message, details = {}) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.target = details.target;
    this.attempts = details.attempts ?? 0;
    this.elapsedMs = details.elapsedMs ?? 0;
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs;
    for (const field of this.constructor.fields ?? []) this[field] = details[field];
  }
}

class CallTimeoutError extends AmbassadorError {}
class DeadlineExceededError extends CallTimeoutError {}
class ConfigError extends AmbassadorError {}
class ShutdownError extends AmbassadorError {}
class ForkedError extends AmbassadorError {}
class InternalError extends AmbassadorError {}
class CircuitOpenError extends AmbassadorError {}
class BulkheadFullError extends AmbassadorError {}
class RateLimitedError extends AmbassadorError {}
class NoEndpointError extends AmbassadorError {}
class TransportError extends AmbassadorError {}
class ConnectError extends TransportError {}
class TlsError extends TransportError {}
class ProtocolError extends TransportError {}
class BodyError extends TransportError {}
class AuthError extends TransportError {}

function name(type, code, fields) {
  Object.defineProperty(type.prototype, "name", { value: type.name, configurable: true, writable: true });
  Object.defineProperty(type.prototype, "code", { value: code, configurable: true, writable: true, enumerable: true });
  Object.defineProperty(type, "fields", { value: fields });
}

name(AmbassadorError, "ERR_AMBASSADOR_INTERNAL", []);
name(CallTimeoutError, "ERR_AMBASSADOR_TIMEOUT", []);
name(DeadlineExceededError, "ERR_AMBASSADOR_DEADLINE", []);
name(ConfigError, "ERR_AMBASSADOR_CONFIG", ["field", "value", "allowed"]);
name(ShutdownError, "ERR_AMBASSADOR_SHUTDOWN", []);
name(ForkedError, "ERR_AMBASSADOR_FORKED", []);
name(InternalError, "ERR_AMBASSADOR_INTERNAL", []);
name(CircuitOpenError, "ERR_AMBASSADOR_CIRCUIT_OPEN", []);
name(BulkheadFullError, "ERR_AMBASSADOR_BULKHEAD_FULL", []);
name(RateLimitedError, "ERR_AMBASSADOR_RATE_LIMITED", []);
name(NoEndpointError, "ERR_AMBASSADOR_NO_ENDPOINT", []);
name(TransportError, "ERR_AMBASSADOR_TRANSPORT", []);
name(ConnectError, "ERR_AMBASSADOR_CONNECT", []);
name(TlsError, "ERR_AMBASSADOR_TLS", []);
name(ProtocolError, "ERR_AMBASSADOR_PROTOCOL", []);
name(BodyError, "ERR_AMBASSADOR_BODY", []);
name(AuthError, "ERR_AMBASSADOR_AUTH", []);

const BY_CODE = {
  TIMEOUT: CallTimeoutError,
  DEADLINE: DeadlineExceededError,
  CONFIG: ConfigError,
  SHUTDOWN: ShutdownError,
  FORKED: ForkedError,
  INTERNAL: InternalError,
  CIRCUIT_OPEN: CircuitOpenError,
  BULKHEAD_FULL: BulkheadFullError,
  RATE_LIMITED: RateLimitedError,
  NO_ENDPOINT: NoEndpointError,
  TRANSPORT: TransportError,
  CONNECT: ConnectError,
  TLS: TlsError,
  PROTOCOL: ProtocolError,
  BODY: BodyError,
  AUTH: AuthError,
};

exports.AmbassadorError = AmbassadorError;
exports.CallTimeoutError = CallTimeoutError;
exports.DeadlineExceededError = DeadlineExceededError;
exports.ConfigError = ConfigError;
exports.ShutdownError = ShutdownError;
exports.ForkedError = ForkedError;
exports.InternalError = InternalError;
exports.CircuitOpenError = CircuitOpenError;
exports.BulkheadFullError = BulkheadFullError;
exports.RateLimitedError = RateLimitedError;
exports.NoEndpointError = NoEndpointError;
exports.TransportError = TransportError;
exports.ConnectError = ConnectError;
exports.TlsError = TlsError;
exports.ProtocolError = ProtocolError;
exports.BodyError = BodyError;
exports.AuthError = AuthError;
exports.BY_CODE = BY_CODE;
