// Types of ambassador-proxy. Durations are milliseconds; `null` stands for none.

export {
  AmbassadorError,
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
} from "./lib/errors.js";
export type { ErrorDetails } from "./lib/errors.js";

/** How waits are spread, so that clients who failed together do not return together. */
export type Jitter = "full" | "equal" | "decorrelated" | "none";

/** The waits between attempts: `min(maxMs, baseMs · factor^(n-1))` after attempt n, then jitter. */
export interface Backoff {
  /** The wait after the first attempt; default 2000. */
  baseMs?: number;
  /** What each further wait is multiplied by, from 1 to 1000; default 2. */
  factor?: number;
  /** The longest wait; default 30000. */
  maxMs?: number;
  /** Default `"full"`: anything between nothing and the wait. */
  jitter?: Jitter;
  /** A wait that a server asks for and that is longer than this ends the call; default 60000. */
  hintMaxMs?: number;
}

/**
 * How many retries there may be, so that a target in trouble gets no storm of them. Over the window each call deposits `ratio`, and
 * `minPerSecond` flows in besides; each retry takes one. When nothing is left, a call ends with its last real error. A first
 * attempt is never refused.
 */
export interface Budget {
  /** What each call deposits: retries a call, from 0 to 1000; default 0.2. */
  ratio?: number;
  /** Retries a second that there may be whatever the calls; default 10. */
  minPerSecond?: number;
  /** The window over which deposits and retries are counted; default 10000. */
  windowMs?: number;
}

/**
 * When to stop sending attempts to a target that fails, and how to find out that it has recovered. Opens when at least `minCalls`
 * attempts within the window have ended, and `failureRate` of them have failed.
 */
export interface Breaker {
  /** The share of failed attempts from which on it opens, above 0 and at most 1; default 0.5. */
  failureRate?: number;
  /** How many attempts must have ended within the window before shares count; default 20. */
  minCalls?: number;
  /** The window over which attempts are counted; default 30000. */
  windowMs?: number;
  /** Opens after so many failures in a row, whatever their share; default `null`, never. */
  consecutiveFailures?: number | null;
  /** An attempt that takes at least so long is slow; default `null`, none is. */
  slowCallMs?: number | null;
  /** The share of slow attempts from which on it opens; default 1. */
  slowRate?: number;
  /** How long it stays open the first time; doubles each time it opens again; default 5000. */
  openForMs?: number;
  /** How long it stays open at most; default 60000. */
  openMaxMs?: number;
  /** How many attempts it lets through at once when that time is over; as many successes close it; from 1 to 16, default 3. */
  probes?: number;
}

/** How many calls run at once, and how many more may wait, first come, first served. */
export interface Bulkhead {
  /** How many calls run at once: a number, or `"adaptive"` for as many as the target takes without growing slower; needed. */
  maxConcurrent?: number | "adaptive" | null;
  /** How many more may wait; default 0. */
  maxQueue?: number;
  /** How long a call waits at most; default `null`, as long as `timeoutMs`. */
  queueTimeoutMs?: number | null;
}

/** How many calls there may be in a time, evenly, with a burst. */
export interface RateLimit {
  /** Calls in each `perMs`; needed. */
  rate?: number;
  /** The time that `rate` is meant for; default 1000. */
  perMs?: number;
  /** How many calls may come at once after a quiet time; default `null`, as many as `rate`. */
  burst?: number | null;
  /** How long a call may wait for its turn; default 0, which refuses at once. */
  maxWaitMs?: number;
}

/** A share of a target's attempts: `"p95"` is so long as 95 in a hundred of them took at most. */
export type Quantile = "p50" | "p90" | "p95" | "p99";

/**
 * When another attempt begins beside one that takes long. The first success is the call's; the attempts that lost are told by their signal,
 * which aborts with an `AbortError`. Needs `idempotent`, and a `maxRetries` of at least 2.
 */
export interface Hedge {
  /** How long the newest attempt has run when another one begins: milliseconds, or a share of the target's attempts; needed. */
  afterMs?: number | Quantile;
  /** How many may begin beside an attempt, from 1 to 3; default 1. They count as attempts. */
  max?: number;
}

/** A class of errors, or a function that tells whether an error is one of those. */
export type ErrorTest = (new (...args: never[]) => Error) | ((error: unknown) => boolean);

/** How an attempt ended. */
export type AttemptEnd = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

/** A success; a failure that may be tried again; a failure that may not. */
export type Outcome = "ok" | "retry" | "fail";

/**
 * What answers in place of a call's final error: a value, or a function of that error. A function may be asynchronous; when it throws, its
 * error is the call's, and the final error its cause.
 */
export type Fallback<F> = F | ((error: unknown) => F | PromiseLike<F>);

/** One of the target's endpoints. */
export interface Endpoint {
  /** A host, with a port if needed, or an `http://` or `https://` URL of one, without a path; needed. */
  url: string;
  /** Its share of the calls beside those of other weights, from 1 to 1000; default 1. */
  weight?: number | null;
  /** The zone that it stands in; default `null`, none. */
  zone?: string | null;
  /** What else is known of it, by name. */
  metadata?: Record<string, string> | null;
}

/** Where the target's endpoints are found: one of `dns`, `srv` and `file`. What was found last stays when it fails. */
export interface Discovery {
  /** All addresses of this host are endpoints; asked again when they have outlived their time. */
  dns?: string | null;
  /** The hosts, ports and weights of this name's SRV records: `_http._tcp.payment-api.example.com`. */
  srv?: string | null;
  /** A file in JSON or YAML, a list as `endpoints` takes it; read again when it changes. */
  file?: string | null;
  /** The name servers to ask, as IP addresses, with ports if needed; default those of the system. */
  servers?: readonly string[] | null;
  /** How soon to ask again where nothing says so; default 30000. */
  refreshMs?: number;
}

/** How an endpoint is chosen: of two at random the quicker (`"p2c"`), and so on. The last two send the same key to the same endpoint. */
export type Balance = "p2c" | "round_robin" | "least_request" | "random" | "ring_hash" | "maglev";

/** Endpoints that fail are left out for a while. */
export interface Outlier {
  /** How many failures in a row eject an endpoint; default 5. */
  consecutiveFailures?: number;
  /** For how long, the first time; as many times longer as it was ejected; default 30000. */
  baseMs?: number;
  /** For how long at most; default 300000. */
  maxMs?: number;
  /** The share of the endpoints that may be out at once, though always one of two or more; default 0.1. */
  maxEjected?: number;
  /** When a smaller share than this is healthy, health is ignored; default 0.5. */
  panic?: number;
}

/** Endpoints are asked whether they are well: by `path`, or by `tcp`. */
export interface HealthCheck {
  /** A path that begins with `/`: well is who answers a `GET` of it by a status of 2xx. */
  path?: string | null;
  /** `true`: well is who accepts a connection. */
  tcp?: boolean;
  /** How often; default 10000. */
  intervalMs?: number;
  /** How long an answer may take; default 1000. */
  timeoutMs?: number;
  /** How many checks in a row have to fail before an endpoint is left out; default 3. */
  unhealthy?: number;
  /** How many have to succeed before it is back; default 2. */
  healthy?: number;
}

/** Whom the target's certificate has to convince, and which one it is shown. All files are in PEM. */
export interface Tls {
  /** The file of the root certificates that are trusted; default `null`, the system's. */
  ca?: string | null;
  /** The file of the client's certificate and of those that signed it; read again when it changes. */
  cert?: string | null;
  /** The file of its private key. */
  key?: string | null;
  /** The name that the server's certificate has to be for; default `null`, the target's host. */
  serverName?: string | null;
  /** The lowest version that is spoken; default `"1.2"`. */
  minVersion?: "1.2" | "1.3";
  /** SHA-256 digests of public keys (SPKI) in Base64, of which the server has to show one; default none is asked for. */
  pins?: readonly string[] | null;
  /** Takes certificates that do not verify. Anybody on the way may then read and change everything; default `false`. */
  dangerousAcceptInvalidCertificates?: boolean;
}

/**
 * How requests say who sends them: by one of `bearer`, `bearerEnv`, `bearerFile`, `username`, `apiKey` and `tokenUrl`. Never sent to another
 * origin than the target's, and never shown.
 */
export interface Auth {
  /** The token of `Authorization: Bearer`. */
  bearer?: string | null;
  /** The name of the environment variable that has it, read at each request. */
  bearerEnv?: string | null;
  /** The file that has it, read again when it changes. */
  bearerFile?: string | null;
  /** The name for `Authorization: Basic`, beside `password`. */
  username?: string | null;
  password?: string | null;
  /** What the header `apiKeyHeader` says. */
  apiKey?: string | null;
  /** Default `"x-api-key"`. */
  apiKeyHeader?: string | null;
  /** Where tokens are fetched (OAuth 2, client credentials), beside `clientId` and `clientSecret`. */
  tokenUrl?: string | null;
  clientId?: string | null;
  clientSecret?: string | null;
  scope?: string | null;
}

/** How requests are made. */
export interface Http {
  /** `"auto"`: HTTP/2 where TLS agrees on it, else HTTP/1.1; `"1"`; `"2"`, without TLS by prior knowledge; default `"auto"`. */
  version?: "auto" | "1" | "2";
  /** How large the head of a response may be; default 65536. */
  maxHeaderBytes?: number;
  /** How large a body may be that is read whole, unpacked; default 67108864. */
  maxBodyBytes?: number;
  /** How much of a request's body that is a stream is kept for another attempt; default 1048576. */
  replayBytes?: number;
  /** How many redirects are followed; default 0. They never take credentials to another origin. */
  followRedirects?: number;
  /** Whether compressed bodies are asked for and unpacked; default `true`. */
  decompress?: boolean;
  /** Whether `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` are obeyed; default `false`. */
  proxyFromEnvironment?: boolean;
  /** Whether `x-ambassador-attempt` and `x-ambassador-remaining-ms` are sent; default `false`. */
  attemptHeaders?: boolean;
  /** How many connections may be open to an endpoint by HTTP/1.1; default 100. */
  maxConnections?: number;
  /** How long a connection is kept that nothing uses; default 60000. */
  idleTimeoutMs?: number;
}

/** The settings of a proxy; `F` is what its fallback answers with. */
export interface AmbassadorOptions<F = never> {
  /** Attempts in all, the first one included, from 1 to 100; default 3. */
  maxRetries?: number;
  /** The name under which proxies share their state, and under which it is reported; default the target. */
  name?: string;
  /** The bound of each attempt in milliseconds, or `null` for none; default 2000. */
  timeoutMs?: number | null;
  /** The bound of the whole call in milliseconds, waits included; default `null`, none. */
  deadlineMs?: number | null;
  /** The waits between attempts; `null` or `false` for none. */
  backoff?: Backoff | boolean | null;
  /** Which errors may be tried again; default all. */
  retryOn?: ErrorTest | readonly ErrorTest[] | null;
  /** Which errors may not; goes before `retryOn`; default none. */
  notOn?: ErrorTest | readonly ErrorTest[] | null;
  /** Judges how an attempt ended; `undefined` leaves it to `notOn` and `retryOn`. */
  classify?: ((end: AttemptEnd) => Outcome | undefined) | null;
  /** The retry budget; `null` or `false` for none; on by default. Shared by all proxies of one name: the newest settings hold. */
  budget?: Budget | boolean | null;
  /** The circuit breaker; `null` or `false` for none; on by default. Shared by all proxies of one name: the newest settings hold. */
  breaker?: Breaker | boolean | null;
  /** How many calls run at once; default `null`, any number. Shared by all proxies of one name: the newest settings hold. */
  bulkhead?: Bulkhead | false | null;
  /** How many calls there may be in a time; default `null`, any number. Shared by all proxies of one name: the newest settings hold. */
  rateLimit?: RateLimit | false | null;
  /** Another attempt beside one that takes long; default `null`, none. Only beside `idempotent: true`. */
  hedge?: Hedge | false | null;
  /** Whether a call may safely be made twice; default `false`. */
  idempotent?: boolean;
  /** What answers in place of a call's final error; never of a call that was stopped. Default `null`, nothing. */
  fallback?: Fallback<F> | null;
  /** Where attempts may go; default the target itself. Shared by all proxies of one name: the newest settings hold. */
  endpoints?: readonly (string | Endpoint)[] | null;
  /** Where endpoints are found; default `null`, nowhere. Shared. */
  discovery?: Discovery | false | null;
  /** How an endpoint is chosen; default `"p2c"`. Shared. */
  balance?: Balance;
  /** `"path"`, or `"header:"` and its name: the key by which `"ring_hash"` and `"maglev"` choose; needed by them. Shared. */
  hashOn?: string | null;
  /** The zone of this process: endpoints of it are preferred. Default `null`, none. Shared. */
  zone?: string | null;
  /** For how long a new endpoint gets less than its share, more and more; default `null`, none. Shared. */
  slowStartMs?: number | null;
  /** Whether and how endpoints that fail are left out; `null` or `false` for never; on by default. Shared. */
  outlier?: Outlier | boolean | null;
  /** Whether and how endpoints are asked whether they are well; default `null`, they are not. Shared. */
  healthCheck?: HealthCheck | false | null;
  /** How connections are secured; `null` for the defaults. Shared. */
  tls?: Tls | false | null;
  /** How requests say who sends them; default `null`, not at all. */
  auth?: Auth | false | null;
  /** Headers that every request is sent with, by name. Never shown. */
  headers?: Readonly<Record<string, string>> | null;
  /** `"auto"` gives each request an `Idempotency-Key`, the same for all its attempts, and so each may be tried again; default `"off"`. */
  idempotencyKey?: "off" | "auto";
  /** How requests are made; `null` for the defaults. Shared. */
  http?: Http | false | null;
}

type InForce<T> = { readonly [K in keyof T]-?: Exclude<T[K], undefined> };

/** A setting in force. Lengths of time are milliseconds; what is secret is `"***"`. */
export interface EffectiveSetting {
  /** Its name: `backoff.hintMaxMs`. A group has an entry of its own, which says whether it is on. */
  readonly field: string;
  readonly value: unknown;
  /** Where the value comes from: `default`, `constructor`, `config FILE:LINE`, or `another proxy of the name`. */
  readonly origin: string;
}

/** The settings in force. */
export interface Policy {
  readonly maxRetries: number;
  readonly name: string;
  readonly timeoutMs: number | null;
  readonly deadlineMs: number | null;
  readonly backoff: Readonly<Required<Backoff>>;
  readonly retryOn: ErrorTest | readonly ErrorTest[] | null;
  readonly notOn: ErrorTest | readonly ErrorTest[] | null;
  readonly classify: ((end: AttemptEnd) => Outcome | undefined) | null;
  readonly budget: Readonly<Required<Budget>> | null;
  readonly breaker: Readonly<Required<Breaker>> | null;
  readonly bulkhead: Readonly<Required<Bulkhead>> | null;
  readonly rateLimit: Readonly<Required<RateLimit>> | null;
  readonly hedge: Readonly<Required<Hedge>> | null;
  readonly idempotent: boolean;
  readonly fallback: unknown;
  readonly endpoints: readonly InForce<Endpoint>[];
  readonly discovery: InForce<Discovery> | null;
  readonly balance: Balance;
  readonly hashOn: string | null;
  readonly zone: string | null;
  readonly slowStartMs: number | null;
  readonly outlier: InForce<Outlier> | null;
  readonly healthCheck: InForce<HealthCheck> | null;
  readonly tls: InForce<Tls>;
  /** Secrets are `"***"`. */
  readonly auth: InForce<Auth> | null;
  /** What they say is `"***"`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly idempotencyKey: "off" | "auto";
  readonly http: InForce<Http>;
}

/** What a call can be stopped by. */
export interface CallOptions {
  /** When it aborts, the call rejects at once with its reason, and is not tried again. */
  signal?: AbortSignal | null;
}

/** One attempt of a call, as its function sees it. */
export interface Attempt {
  /** Its number: 1, 2, 3 … */
  readonly attempt: number;
  /** Where it goes: the address of an endpoint; where there are none, the target. */
  readonly endpoint: string;
  /** What is left until its bound, in milliseconds and at least 0; `null` without a bound. */
  readonly remainingMs: number | null;
  /** Whether nobody waits for it any more. */
  readonly cancelled: boolean;
  /**
   * What to send along: `idempotency-key`, the same for all attempts of a call; `traceparent`; `x-ambassador-attempt`; and
   * `x-ambassador-remaining-ms` when it is bounded. A new object at each read.
   */
  readonly headers: Record<string, string>;
  /** Aborts when the attempt is given up: at its bound, when the call is stopped, or when another attempt has ended it. Made only when read. */
  readonly signal: AbortSignal;
  /** Set it to ask for at least that wait before the next attempt, in milliseconds, as a server does by `Retry-After`. */
  retryAfterMs: number | undefined;
}

/** What calls functions: a proxy, or one bound to a signal by {@link Caller.with}. `F` is what its fallback answers with. */
export interface Caller<F = never> {
  /**
   * Calls the function until it succeeds, may not be tried again, or no attempt is left.
   *
   * @returns what the function returns, or what its promise brings; or what the fallback answers
   * @throws the function's own error of the last attempt, the same object; or an `AmbassadorError`
   */
  call<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Promise<Awaited<R> | F>;
  /** {@link Caller.call}, for a function that wants to know its attempt's number, bound, headers and signal. */
  execute<R>(fn: (ctx: Attempt) => R, options?: CallOptions): Promise<Awaited<R> | F>;
  /** The function, called through the proxy each time; `this` and arguments are handed on. */
  wrap<T, A extends unknown[], R>(fn: (this: T, ...args: A) => R, options?: CallOptions): (this: T, ...args: A) => Promise<Awaited<R> | F>;
  /**
   * The target's own answer to a request that the core makes: as the global `fetch`, with a path or a URL of the target's. A response is handed
   * back whatever its status.
   *
   * @throws an `AmbassadorError` when there is no response; the reason of the signal; a `TypeError` for what is no request
   */
  fetch(input: string | URL | Request, init?: FetchInit): Promise<Response | F>;
  /** {@link Caller.fetch} for less: no `Response` is made, and the body is there, or comes as a stream if asked to. */
  request(options: RequestOptions & { path?: string; method?: string; stream: true }): Promise<HttpStream | F>;
  request(options: RequestOptions & { path?: string; method?: string; stream?: false }): Promise<HttpResponse | F>;
  get(path: string, options: RequestOptions & { stream: true }): Promise<HttpStream | F>;
  get(path: string, options?: RequestOptions & { stream?: false }): Promise<HttpResponse | F>;
  head(path: string, options: RequestOptions & { stream: true }): Promise<HttpStream | F>;
  head(path: string, options?: RequestOptions & { stream?: false }): Promise<HttpResponse | F>;
  options(path: string, options: RequestOptions & { stream: true }): Promise<HttpStream | F>;
  options(path: string, options?: RequestOptions & { stream?: false }): Promise<HttpResponse | F>;
  post(path: string, options: RequestOptions & { stream: true }): Promise<HttpStream | F>;
  post(path: string, options?: RequestOptions & { stream?: false }): Promise<HttpResponse | F>;
  put(path: string, options: RequestOptions & { stream: true }): Promise<HttpStream | F>;
  put(path: string, options?: RequestOptions & { stream?: false }): Promise<HttpResponse | F>;
  patch(path: string, options: RequestOptions & { stream: true }): Promise<HttpStream | F>;
  patch(path: string, options?: RequestOptions & { stream?: false }): Promise<HttpResponse | F>;
  delete(path: string, options: RequestOptions & { stream: true }): Promise<HttpStream | F>;
  delete(path: string, options?: RequestOptions & { stream?: false }): Promise<HttpResponse | F>;
  /** The same, with calls that the signal stops. */
  with(options: CallOptions): Caller<F>;
}

/** What a request's body may be. A stream is read a piece at a time, and is sent again up to `http.replayBytes` alone. */
export type Content =
  | string
  | ArrayBufferView
  | ArrayBuffer
  | Blob
  | FormData
  | URLSearchParams
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array | string>;

/** Headers, by name or as pairs; what is `undefined` is left out. */
export type HeadersLike = Readonly<Record<string, string | number | readonly string[] | undefined>> | Iterable<readonly [string, string]> | Headers;

/** What `proxy.fetch` takes beside the path. */
export interface FetchInit {
  method?: string;
  headers?: HeadersLike;
  body?: Content | null;
  /** `"half"`: needed by a body that is a stream. */
  duplex?: "half";
  /** When it aborts, the request rejects at once with its reason, and so does the reading of its response. */
  signal?: AbortSignal | null;
  /** Only what the setting `http.followRedirects` does is possible: `"follow"` where it is above 0; else `"manual"` and `"error"`. */
  redirect?: "follow" | "manual" | "error";
  /** Whether the request may safely be made twice; default by its method, and whether it has an `Idempotency-Key`. */
  idempotent?: boolean;
  /** The bound of each attempt, `null` for none; default the proxy's. */
  timeoutMs?: number | null;
  /** The bound of the whole request, waits included, `null` for none; default the proxy's. */
  deadlineMs?: number | null;
}

/** What `proxy.request` takes. */
export interface RequestOptions {
  /** Added to the path; what is `undefined` or `null` is left out, and a list is given name by name. */
  query?: Readonly<Record<string, string | number | boolean | null | undefined | readonly (string | number | boolean)[]>> | URLSearchParams | string;
  headers?: HeadersLike;
  body?: Content | null;
  /** In place of `body`: sent as JSON. */
  json?: unknown;
  /** Resolve as soon as the head has come; the bound of the attempt is for that alone. Default `false`. */
  stream?: boolean;
  /** When it aborts, the request rejects at once with its reason, and so does the reading of its response. */
  signal?: AbortSignal | null;
  /** Whether the request may safely be made twice; default by its method, and whether it has an `Idempotency-Key`. */
  idempotent?: boolean;
  /** The bound of each attempt, `null` for none; default the proxy's. */
  timeoutMs?: number | null;
  /** The bound of the whole request, waits included, `null` for none; default the proxy's. */
  deadlineMs?: number | null;
}

/** A `Buffer`, where there are types of Node's. */
type Bytes = typeof globalThis extends { Buffer: { alloc(size: number): infer B } } ? B : Uint8Array;

/** The headers of a response: names in lower case. What came twice is joined by a comma, but for `set-cookie`. */
export interface HttpHeaders {
  readonly "set-cookie"?: string[];
  readonly "cache-control"?: string;
  readonly "content-disposition"?: string;
  readonly "content-length"?: string;
  readonly "content-type"?: string;
  readonly date?: string;
  readonly etag?: string;
  readonly "last-modified"?: string;
  readonly location?: string;
  readonly "retry-after"?: string;
  readonly "www-authenticate"?: string;
  readonly [name: string]: string | string[] | undefined;
}

/** A response with all of its body. */
export interface HttpResponse {
  readonly status: number;
  /** Whether the status is 200 to 299. */
  readonly ok: boolean;
  readonly headers: HttpHeaders;
  /** How many attempts it took. */
  readonly attempts: number;
  /** The address of the endpoint that it came from. */
  readonly endpoint: string;
  readonly body: Bytes;
  text(): string;
  json<T = any>(): T;
}

/** A response whose body is read as it comes: once, piece by piece or as a whole. */
export interface HttpStream extends AsyncIterable<Bytes> {
  readonly status: number;
  readonly ok: boolean;
  readonly headers: HttpHeaders;
  /** How many attempts it took. */
  readonly attempts: number;
  /** The address of the endpoint that it came from. */
  readonly endpoint: string;
  readonly body: AsyncIterable<Bytes>;
  bytes(): Promise<Bytes>;
  text(): Promise<string>;
  json<T = any>(): Promise<T>;
}

/** How many ended each way. */
export interface Counts {
  readonly ok: number;
  readonly failure: number;
  readonly timeout: number;
  readonly cancelled: number;
}

/** What is known of a target in this process; the same names in every language. */
export interface Health {
  readonly target: string;
  readonly name: string;
  readonly in_flight: number;
  readonly calls: Counts & { readonly rejected: number; readonly fallback: number };
  readonly attempts: Counts;
  readonly retries: number;
  /** Attempts that began beside others of their call. */
  readonly hedges: number;
  /** Results that came after their attempt had been given up. */
  readonly late_results: number;
  /** Functions that still run though their attempt was given up. */
  readonly abandoned: number;
  readonly internal_errors: number;
  /** Events that nobody fetched in time. */
  readonly events_dropped: number;
  /** Calls, and attempts of the breaker's, that were refused, by who refused them. */
  readonly rejections: {
    readonly shutdown: number;
    readonly rate_limited: number;
    readonly bulkhead_full: number;
    readonly circuit_open: number;
    readonly no_endpoint: number;
  };
  /** The breaker; `null` when it is off. */
  readonly circuit: {
    readonly state: Circuit;
    /** How long it still refuses, in nanoseconds; `null` when it does not, or when nobody knows. */
    readonly open_for_ns: number | null;
    /** Attempts that ended within the window. */
    readonly outcomes: number;
    /** Those of them that failed. */
    readonly failures: number;
    /** How often it has entered each state. */
    readonly transitions: Readonly<Record<Circuit, number>>;
  } | null;
  /** The retry budget; `null` when it is off. */
  readonly budget: { readonly tokens: number } | null;
  /** The bulkhead; `null` when it is off. */
  readonly bulkhead: { readonly limit: number; readonly occupied: number; readonly queued: number } | null;
  /** The endpoints; `null` where the target itself is the one. */
  readonly endpoints: readonly EndpointHealth[] | null;
  /** How long calls took that were not refused, and attempts. */
  readonly latency: { readonly calls: Latency; readonly attempts: Latency };
}

/** What was counted within the last ten seconds, and the last minute. */
export type Latency = Readonly<Record<"10s" | "60s", Quantiles>>;

/** How long things took, in nanoseconds; `null` where there were none. */
export interface Quantiles {
  readonly count: number;
  readonly p50_ns: number | null;
  readonly p90_ns: number | null;
  readonly p99_ns: number | null;
  readonly p999_ns: number | null;
}

/** One endpoint of a target. */
export interface EndpointHealth {
  readonly address: string;
  readonly zone: string | null;
  readonly weight: number;
  /** `ejected` because attempts failed, `unhealthy` by its checks. */
  readonly state: "healthy" | "ejected" | "unhealthy";
  /** Attempts that run there. */
  readonly in_flight: number;
  /** How long attempts there take; `null` before the first one has ended. */
  readonly ewma_ns: number | null;
  /** Attempts that failed, one after the other. */
  readonly consecutive_failures: number;
  /** How long it is still left out; `null` when it is not ejected. */
  readonly ejected_for_ns: number | null;
  readonly times_ejected: number;
  /** Whether nobody knows if it is still there. */
  readonly stale: boolean;
}

/** The state of the circuit breaker. */
export type Circuit = "closed" | "open" | "half_open" | "isolated";

interface Told {
  /** The name that the target's state is shared by. */
  readonly name: string;
}

/** An attempt ended. */
export interface AttemptEvent extends Told {
  readonly type: "attempt";
  /** Its number. */
  readonly attempt: number;
  readonly outcome: "ok" | "failure" | "timeout" | "cancelled";
  readonly elapsedMs: number;
  /** Where it went; not there where the target itself is the one endpoint. */
  readonly endpoint?: string;
}

/** Another attempt began beside those of its call that run. */
export interface HedgeEvent extends Told {
  readonly type: "hedge";
  /** Its number. */
  readonly attempt: number;
  /** How long the one before it had run. */
  readonly afterMs: number;
}

/** An attempt failed, and another follows after a wait. */
export interface RetryEvent extends Told {
  readonly type: "retry";
  /** The number of the attempt that failed. */
  readonly attempt: number;
  readonly waitMs: number;
}

/** A call ended. */
export interface CallEvent extends Told {
  readonly type: "call";
  /** How many attempts it made. */
  readonly attempts: number;
  readonly outcome: "ok" | "failure" | "timeout" | "rejected" | "cancelled" | "fallback";
  /** Why it ended, in words. */
  readonly stop: string;
  readonly elapsedMs: number;
}

/** The circuit breaker changed its state. */
export interface CircuitEvent extends Told {
  readonly type: "circuit";
  readonly from: Circuit;
  readonly to: Circuit;
  /** How long it stays open, when it opened. */
  readonly openForMs?: number;
}

/** An endpoint is left out, or back. */
export interface EndpointEvent extends Told {
  readonly type: "endpoint";
  readonly address: string;
  /** `ejected` because attempts failed, and `back`; `unhealthy` by its checks, and `healthy`. */
  readonly to: "ejected" | "back" | "unhealthy" | "healthy";
  /** How long it is left out, when it is ejected. */
  readonly ejectedForMs?: number;
}

/** Other endpoints were found, or none could be looked for, and the last ones stay. */
export interface EndpointsEvent extends Told {
  readonly type: "endpoints";
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Why nobody knows whether they are still there; `null` when they are. */
  readonly stale: string | null;
}

/** A proxy asked for other settings of the shared state than those that held; the newest hold. */
export interface SettingsEvent extends Told {
  readonly type: "settings";
  readonly before: string;
  readonly now: string;
}

/** Certificates, keys or tokens that settings name were read or fetched again, or could not be. */
export interface CredentialsEvent extends Told {
  readonly type: "credentials";
  /** The setting, by its name in the config file: `auth.bearer_file`. */
  readonly field: string;
  /** Why what it names now cannot be used, so that the last good one stays in use; `null` when what it names now holds. */
  readonly why: string | null;
}

/** The ambassador itself failed; the call went on without it. */
export interface InternalEvent extends Told {
  readonly type: "internal";
  readonly at: string;
}

/** Something that happened to a target. New kinds may come. */
export type AmbassadorEvent = AttemptEvent | HedgeEvent | RetryEvent | CallEvent | CircuitEvent | EndpointEvent | EndpointsEvent | SettingsEvent | CredentialsEvent | InternalEvent;

/**
 * The ambassador for one target.
 *
 * @example
 * const payments = new AmbassadorProxy("payment-api.example.com", { maxRetries: 3, timeoutMs: 2000 });
 * const receipt = await payments.call(charge, 99.99);
 */
export class AmbassadorProxy<F = never> implements Caller<F> {
  /**
   * @param targetHost a host, with a port if needed, or an http:// or https:// URL of one
   * @throws ConfigError that names the setting, its value and what is allowed
   */
  constructor(targetHost: string, options?: AmbassadorOptions<F>);
  /** The target, as it was given. */
  readonly target: string;
  /** The settings in force. */
  readonly policy: Policy;
  /**
   * Every setting in force, and where its value comes from. Not among them is what only JavaScript can hold: `retryOn`, `notOn`,
   * `classify`, `fallback`.
   */
  effectivePolicy(): EffectiveSetting[];
  /** The same as JSON, spelled as the configuration file does: byte for byte the same in every language. */
  policyJson(): string;
  call<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Promise<Awaited<R> | F>;
  execute<R>(fn: (ctx: Attempt) => R, options?: CallOptions): Promise<Awaited<R> | F>;
  wrap<T, A extends unknown[], R>(fn: (this: T, ...args: A) => R, options?: CallOptions): (this: T, ...args: A) => Promise<Awaited<R> | F>;
  fetch(input: string | URL | Request, init?: FetchInit): Promise<Response | F>;
  request(options: RequestOptions & { path?: string; method?: string; stream: true }): Promise<HttpStream | F>;
  request(options: RequestOptions & { path?: string; method?: string; stream?: false }): Promise<HttpResponse | F>;
  get(path: string, options: RequestOptions & { stream: true }): Promise<HttpStream | F>;
  get(path: string, options?: RequestOptions & { stream?: false }): Promise<HttpResponse | F>;
  head(path: string, options: RequestOptions & { stream: true }): Promise<HttpStream | F>;
  head(path: string, options?: RequestOptions & { stream?: false }): Promise<HttpResponse | F>;
  options(path: string, options: RequestOptions & { stream: true }): Promise<HttpStream | F>;
  options(path: string, options?: RequestOptions & { stream?: false }): Promise<HttpResponse | F>;
  post(path: string, options: RequestOptions & { stream: true }): Promise<HttpStream | F>;
  post(path: string, options?: RequestOptions & { stream?: false }): Promise<HttpResponse | F>;
  put(path: string, options: RequestOptions & { stream: true }): Promise<HttpStream | F>;
  put(path: string, options?: RequestOptions & { stream?: false }): Promise<HttpResponse | F>;
  patch(path: string, options: RequestOptions & { stream: true }): Promise<HttpStream | F>;
  patch(path: string, options?: RequestOptions & { stream?: false }): Promise<HttpResponse | F>;
  delete(path: string, options: RequestOptions & { stream: true }): Promise<HttpStream | F>;
  delete(path: string, options?: RequestOptions & { stream?: false }): Promise<HttpResponse | F>;
  with(options: CallOptions): Caller<F>;
  /**
   * The target's endpoints are these from now on, in place of those of its settings: for code of your own that finds them.
   *
   * @throws ConfigError when they are none
   */
  setEndpoints(endpoints: readonly (string | Endpoint)[]): void;
  /** How the target's calls went; shared by all proxies of one name in the process, in all its threads. */
  health(): Health;
  /** Opens the circuit by hand: every attempt is refused, until {@link AmbassadorProxy.reset}. */
  isolate(): void;
  /** Closes the circuit by hand, with an empty window. */
  reset(): void;
  /**
   * Tells the listener of everything that happens to the target, through whatever proxy of its name: right after it happened, before the
   * caller knows; and a little later what happens in another thread. A listener that throws changes nothing.
   *
   * @returns a function that ends this
   */
  onEvent(listener: (event: AmbassadorEvent) => void): () => void;
}

/** What the channel `ambassador:retry` of `node:diagnostics_channel` publishes. */
export interface RetryMessage {
  /** The line: `[Ambassador] Retry 1 after 1.37s: Payment API unreachable`. */
  readonly line: string;
  readonly target: string;
  /** The number of the attempt that failed. */
  readonly attempt: number;
  /** The wait until the next. */
  readonly waitMs: number;
  /** What it failed with; `undefined` when it returned a value that `classify` called `"retry"`; of a request, in words. */
  readonly error: unknown;
  /** Of a request: the endpoint that failed. */
  readonly endpoint?: string;
  /** Of a request: the error's code, such as `"CONNECT"`; `undefined` when there was a response. */
  readonly code?: string;
  /** Of a request: the status of the response, if there was one. */
  readonly status?: number;
}

/** How much is logged: what matters that much, or more. */
export type LogLevel = "off" | "error" | "warn" | "info" | "debug";

/** What the channel `ambassador:log` of `node:diagnostics_channel` publishes. */
export interface LogMessage {
  /** `"error"`: a circuit is open, or the ambassador itself failed; `"warn"`: a retry, an endpoint left out; `"info"`: what is well again. */
  readonly level: Exclude<LogLevel, "off">;
  /** The line: `[Ambassador] payment-api.example.com: the circuit is open for 5s; it was closed`. */
  readonly line: string;
  /** What happened. */
  readonly event: AmbassadorEvent;
}

/**
 * So much is logged from now on, in all threads of the process: `"warn"` and more, until this is called, on stderr, or on the channel
 * `ambassador:log` while somebody subscribes to it. Never more than the environment's `AMBASSADOR_LOG` says, where it is set.
 *
 * @throws ConfigError when it is no level
 */
export function setLogLevel(level: LogLevel): void;

/** Everything that is known at present of this process, in all of its threads; the same names in every language. */
export interface Snapshot {
  readonly version: string;
  readonly language: string;
  readonly pid: number;
  /** When the ambassador began in this process, in milliseconds since 1970. */
  readonly started_ms: number;
  readonly now_ms: number;
  /** Whether calls can be sent; if not, `not_ready` has the reasons. */
  readonly ready: boolean;
  readonly not_ready: readonly string[];
  readonly process: {
    /** `null` where the system does not tell. */
    readonly memory_bytes: number | null;
    /** The core's own threads; `null` before they are first needed, and `lag_ns` while there is no admin server. */
    readonly runtime: { readonly threads: number | null; readonly lag_ns: number | null; readonly queue: number | null };
    /** Threads that run the program's functions; `null` in Node, which has none such. */
    readonly workers: { readonly limit: number | null; readonly busy: number | null; readonly waiting: number | null };
    readonly events: { readonly dropped: number; readonly subscribers: number };
  };
  readonly targets: readonly Health[];
  /** Targets that have no place of their own, summed; `null` when there are none. */
  readonly other: { readonly targets: number; readonly in_flight: number } | null;
}

/** Everything that is known at present of every target of this process, and of the process itself. */
export function snapshot(): Snapshot;

/**
 * The same as metrics: Prometheus' text format 0.0.4, or OpenMetrics 1.0. For programs that have a route of their own for them;
 * `serveAdmin` has one.
 *
 * @throws ConfigError when the format is neither
 */
export function metrics(format?: "prometheus" | "openmetrics"): string;

/** How an admin server is to be, beyond its address. */
export interface AdminOptions {
  /** What who wants to do something, or asks from elsewhere, has to show; 16 characters at least. One is made when there is none. */
  token?: string;
  /** Names by which it is reached, besides `localhost` and addresses in numbers. */
  hosts?: readonly string[];
  /** Whether others than this machine may be served; that needs a `token`. Default `false`. */
  remote?: boolean;
}

/** An admin server. It serves until it is stopped or the process ends, and keeps no process alive. */
export interface Admin {
  /** Where it answers: `127.0.0.1:9901`. */
  readonly address: string;
  /** The address of the page: `http://127.0.0.1:9901/`. */
  readonly url: string;
  /** What has to be shown to do something there: `authorization: Bearer …`. */
  readonly token: string;
  readonly isServing: boolean;
  /** Ends it, with all its connections; the address is free then. Said again, it does nothing. */
  stop(): void;
}

/**
 * Answers at that address from now on, such as `127.0.0.1:9901`; port 0 takes a free one. The page is at `/`; then there are
 * `/metrics`, `/healthz`, `/readyz`, and JSON under `/v1`. It answers also while JavaScript is stuck.
 *
 * @throws ConfigError when the address is none, is taken, or is not for this machine alone without `remote`
 */
export function serveAdmin(address: string, options?: AdminOptions): Admin;

/**
 * Refuses new calls from now on, in all threads of the process, and waits for those in flight at most `timeoutMs`
 * milliseconds (default 30000). Nothing needs this for a clean exit.
 *
 * @returns whether every call ended in time
 */
export function shutdown(timeoutMs?: number): Promise<boolean>;

/** The version of the package and of its native part. */
export const version: string;
