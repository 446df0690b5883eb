// What TypeScript says of the package, from a CommonJS module; checked by `npm run lint`, never run.
import ambassador = require("ambassador-proxy");

const proxy = new ambassador.AmbassadorProxy("payment-api.example.com");
const charged: Promise<number> = proxy.call(async (amount: number) => amount, 99.99);
void charged.catch((error: unknown) => error instanceof ambassador.AmbassadorError && error.code);
