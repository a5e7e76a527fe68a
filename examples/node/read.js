// Reads the digit in each image file, over one stream.
//
//     npm ci && node read.js seven.png four.png        DIGITS_SERVER: 127.0.0.1:50051 unless set
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const PROTO = fileURLToPath(new URL("../../proto", import.meta.url));
const DEADLINE_MS = 10_000;

const definition = protoLoader.loadSync("digits/v1/prediction.proto", { includeDirs: [PROTO], keepCase: true, defaults: true });
const { PredictionService } = grpc.loadPackageDefinition(definition).digits.v1;

const address = process.env.DIGITS_SERVER || "127.0.0.1:50051";
const client = new PredictionService(address, grpc.credentials.createInsecure());
const deadline = new Date(Date.now() + DEADLINE_MS);

const metadata = new grpc.Metadata();
if (process.env.DIGITS_TOKEN) metadata.set("authorization", `Bearer ${process.env.DIGITS_TOKEN}`);

const files = process.argv.slice(2);
const images = await Promise.all(files.map((file) => readFile(file)));

// One answer for each request, in their order. A bad image is refused in its answer; the stream goes on.
const stream = client.StreamPredict(metadata, { deadline });
for (const encoded of images) stream.write({ image: { encoded } });
stream.end();

let place = 0;
try {
  for await (const { prediction, refusal } of stream) {
    const file = files[place++];
    if (refusal) console.log(`${file}: refused, ${refusal.reason}: ${refusal.message}`);
    else console.log(`${file}: ${prediction.digit}, ${(100 * prediction.confidence).toFixed(1)} % sure`);
  }
} catch (error) {
  console.error(`${address}: ${grpc.status[error.code] ?? "UNKNOWN"}: ${error.details ?? error.message}`);
  process.exitCode = 1;
}
client.close();
