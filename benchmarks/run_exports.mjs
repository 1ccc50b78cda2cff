// Runs files in onnxruntime-web for run_exports.py: a line of JSON in, one out. The folder of its node_modules is argv[2].
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const dist = `${process.argv[2]}/node_modules/onnxruntime-web/dist`;
const ort = await import(`${dist}/ort.wasm.min.mjs`);
ort.env.wasm.wasmPaths = `file://${dist}/`;
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "fatal";

const ARRAYS = { float32: Float32Array, bool: Uint8Array };
let opened = "";
let session;

function tensor({ type, dims, data }) {
  const bytes = Buffer.from(data, "base64");
  const copy = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  return new ort.Tensor(type, new ARRAYS[type](copy), dims);
}

function packed({ dims, data }) {
  return { dims, data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64") };
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const { path, inputs } = JSON.parse(line);
    if (path !== opened) {
      await session?.release();
      session = await ort.InferenceSession.create(readFileSync(path));
      opened = path;
    }
    const feeds = Object.fromEntries(Object.entries(inputs).map(([name, one]) => [name, tensor(one)]));
    const made = await session.run(feeds);
    answer = { outputs: session.outputNames.map((name) => packed(made[name])) };
  } catch (error) {
    answer = { error: String(error.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
