// Types of ambassador-proxy/undici.

import type { EventEmitter } from "node:events";
import type { AmbassadorOptions, AmbassadorProxy } from "./index.js";

/** The settings of a dispatcher: those of the proxies that it makes, one for each origin, and besides: */
export interface DispatcherOptions extends Omit<AmbassadorOptions, "fallback" | "name"> {
  /** For some origins, such as `"https://payment-api.example.com"`, a proxy that is there, or settings of their own. */
  origins?: Readonly<Record<string, AmbassadorProxy<unknown> | AmbassadorOptions>>;
  /** How many proxies are kept at most; default 256. */
  maxOrigins?: number;
}

/**
 * A dispatcher for undici, and so for the global `fetch`: what they send goes by the ambassador.
 *
 * @example
 * setGlobalDispatcher(new AmbassadorDispatcher({ maxRetries: 3, timeoutMs: 2000 }));
 * const response = await fetch("https://payment-api.example.com/charges/42");
 */
export class AmbassadorDispatcher extends EventEmitter {
  /** @throws ConfigError that names the setting, its value and what is allowed */
  constructor(options?: DispatcherOptions);
  /** For undici: sends a request, and tells the handler. */
  dispatch(options: any, handler: any): boolean;
  /** Refuses requests from now on; resolves when those in flight have ended. */
  close(): Promise<void>;
  close(callback: () => void): void;
  /** Refuses requests from now on, and ends those in flight. */
  destroy(error?: Error | null): Promise<void>;
  destroy(callback: () => void): void;
  destroy(error: Error | null, callback: () => void): void;
}

/** Makes that dispatcher the one of the global `fetch`: what undici's function of that name does, for programs that do not have undici. */
export function setGlobalDispatcher(dispatcher: { dispatch(options: any, handler: any): boolean }): void;
