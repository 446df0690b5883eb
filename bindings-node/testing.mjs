// ambassador-proxy/testing for ECMAScript modules: the very same objects as in testing.js.
import testing from "./testing.js";

export const { scripted, seedJitter, virtualTime } = testing;
