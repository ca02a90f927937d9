// SPDX-License-Identifier: MIT
// all.mjs: all of the tests, and the count.
import { finish } from "./harness.mjs";

await import("./services.mjs");
await import("./proxies.mjs");
await import("./cluster.mjs");
await finish();
