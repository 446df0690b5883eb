// The ambassador's own errors. Generated from core/errors.toml by `make generate`. Do not edit.

export interface ErrorDetails {
  target?: string;
  attempts?: number;
  elapsedMs?: number;
  retryAfterMs?: number;
  cause?: unknown;
  field?: string;
  value?: string;
  allowed?: string;
}

/** An error of the ambassador's own, rather than of the function that it called. */
export class AmbassadorError extends Error {
  constructor(message: string, details?: ErrorDetails);
  /** `ERR_AMBASSADOR_…`; the part after that prefix is the same in every language. */
  readonly code: string;
  /** What was called. */
  readonly target?: string;
  /** How often. */
  readonly attempts: number;
  /** How long that took, in milliseconds. */
  readonly elapsedMs: number;
  /** When to come again, in milliseconds, where that is known. */
  readonly retryAfterMs?: number;
  /** The last real failure. */
  readonly cause?: unknown;
}

/** an attempt outran `timeout` and no attempt is left. What to do: find out why the target is slow, or raise `timeout`. */
export class CallTimeoutError extends AmbassadorError {
  readonly code: string;
}

/** the whole call outran `deadline`. What to do: find out why the target is slow, or raise `deadline`. */
export class DeadlineExceededError extends CallTimeoutError {
  readonly code: string;
}

/** a setting is wrong; raised at construction, never by a call. What to do: correct the setting that the message names. */
export class ConfigError extends AmbassadorError {
  readonly code: string;
  readonly field: string;
  readonly value: string;
  readonly allowed: string;
}

/** the call came after `shutdown`. What to do: make no calls after `shutdown`. */
export class ShutdownError extends AmbassadorError {
  readonly code: string;
}

/** a call in flight was used in a forked child; it belongs to the parent. What to do: start the call in the process that needs its result. */
export class ForkedError extends AmbassadorError {
  readonly code: string;
}

/** a fault of the ambassador itself. What to do: report it with this message. */
export class InternalError extends AmbassadorError {
  readonly code: string;
}

/** the circuit breaker refused the first attempt; the function was not run. What to do: call again when the target has recovered, or look at why it failed. */
export class CircuitOpenError extends AmbassadorError {
  readonly code: string;
}

/** `max_concurrent` calls are running, and no place came free within the queue's wait. What to do: call less at once, or raise `max_concurrent` or `max_queue`. */
export class BulkheadFullError extends AmbassadorError {
  readonly code: string;
}

/** the rate limit has no turn for the call within `max_wait`. What to do: call less often, or raise `rate`, `burst` or `max_wait`. */
export class RateLimitedError extends AmbassadorError {
  readonly code: string;
}

/** the target has no endpoint to go to: none was found, or none is well. What to do: look at where its endpoints are discovered, and at their health. */
export class NoEndpointError extends AmbassadorError {
  readonly code: string;
}

/** the connection was lost before the response had come. What to do: look at the endpoint that the message names. */
export class TransportError extends AmbassadorError {
  readonly code: string;
}

/** no connection could be made: the name was not found, or nothing answers at the address. What to do: look whether the endpoint that the message names is up and can be reached. */
export class ConnectError extends TransportError {
  readonly code: string;
}

/** no secure connection could be made: a certificate does not verify, or the two sides agree on nothing. What to do: look at the certificate that the message names, and at the `tls` settings. */
export class TlsError extends TransportError {
  readonly code: string;
}

/** what came is not HTTP, or more of it than is allowed. What to do: look whether the endpoint that the message names speaks HTTP, and at the `http` settings. */
export class ProtocolError extends TransportError {
  readonly code: string;
}

/** a body could not be read to its end, or is larger than allowed. What to do: ask for the body as a stream, or raise `http.max_body_bytes`. */
export class BodyError extends TransportError {
  readonly code: string;
}

/** no credentials could be had for the request, which was not sent. What to do: look at the `auth` settings, and at the token endpoint that the message names. */
export class AuthError extends TransportError {
  readonly code: string;
}

export const BY_CODE: Readonly<Record<string, typeof AmbassadorError>>;
