// ambassador-proxy/undici for ECMAScript modules: the very same objects as in undici.js.
import undici from "./undici.js";

export const { AmbassadorDispatcher, setGlobalDispatcher } = undici;
