// A program that uses what it was handed: listens on the addresses of its arguments and sends back what comes.
import type { UdpAddress } from "@karp/ikev2";
import { UdpTransport } from "@karp/ikev2/node";
import { takeHandedOver } from "../../src/runtime/handedOver.ts";

try {
  const wanted = process.argv.slice(2).map((place): UdpAddress => {
    const end = place.lastIndexOf(":");
    return { address: place.slice(0, end).replace(/[[\]]/g, ""), port: Number(place.slice(end + 1)) };
  });
  const transport = new UdpTransport(
    ({ local, remote, data }) => transport.send(local, remote, data),
    (_, error) => console.error(error.message),
    takeHandedOver(),
  );
  await transport.listen(wanted);
  console.log("listening");
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
