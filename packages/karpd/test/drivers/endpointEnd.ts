// One end of a session in a process of its own, to be killed: node endpointEnd.ts SESSION-AS-JSON is-mirrored.
import type { SessionConfiguration } from "../../src/core/configuration.ts";
import { createEndpointDriver } from "../../src/drivers/endpoint/driver.ts";
import { context, kernelAlgorithms, key, mirrored } from "./support.ts";

const session = JSON.parse(process.argv[2] ?? "") as SessionConfiguration;
const driver = createEndpointDriver(context({ kernelAlgorithms }));
const own = key(1, "preferred");
for (;;) {
  await driver.apply(session, [process.argv[3] === "mirrored" ? mirrored(own) : own]);
  console.log(JSON.stringify(driver.statistics()[session.name] ?? {}));
  await new Promise((resolve) => setTimeout(resolve, 50));
}
