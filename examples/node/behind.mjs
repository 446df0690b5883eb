// What puts a program that uses `fetch` or undici behind the ambassador: `node --import ./behind.mjs program.mjs`.
import { AmbassadorDispatcher, setGlobalDispatcher } from "ambassador-proxy/undici";

setGlobalDispatcher(new AmbassadorDispatcher({ maxRetries: 5, backoff: { baseMs: 10 } }));
