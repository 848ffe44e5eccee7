// Goal: health says NOT_SERVING while the services cannot do their work, and watchers learn of it both ways. Method: the
// service over a caller, with a fitness that the test sets.
import assert from "node:assert/strict";
import test from "node:test";
import { HealthCheckResponse_ServingStatus as Serving } from "#gen/grpc/health/v1/health_pb.js";
import { Unavailable } from "#src/core/errors.js";
import { HealthService } from "#src/server/health.js";
import { inProcessTransport } from "#src/client/embedded/index.js";
import { Health } from "#gen/grpc/health/v1/health_pb.js";

test("what is unfit does not serve, until it does again", { timeout: 20_000 }, async () => {
  let isFit = true;
  const health = new HealthService(["neleus.v1.ProofService"], () => isFit);
  const transport = inProcessTransport({ address: "here", services: [health.binding()] });
  const status = async (service: string) => (await transport.unary(Health.method.check, { service })).status;
  const seen: Serving[] = [];
  const watching = (async () => {
    for await (const answer of transport.serverStream(Health.method.watch, { service: "" })) seen.push(answer.status);
  })();
  const until = async (count: number): Promise<void> => {
    while (seen.length < count) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  await until(1);
  isFit = false;
  for (const name of ["", "neleus.v1.ProofService"]) assert.equal(await status(name), Serving.NOT_SERVING);
  await until(2);
  isFit = true;
  assert.equal(await status(""), Serving.SERVING);
  await until(3);
  health.stop();
  await assert.rejects(watching, Unavailable);
  assert.equal(await status(""), Serving.NOT_SERVING);
  assert.deepEqual(seen, [Serving.SERVING, Serving.NOT_SERVING, Serving.SERVING, Serving.NOT_SERVING]);
});
