// Runs an exported model with onnxruntime-web. A state <layer>_h_in is fed what <layer>_h_out gave before, first zeros.
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";

ort.env.wasm.wasmPaths = new URL("./node_modules/onnxruntime-web/dist/", import.meta.url).href;
ort.env.wasm.numThreads = 1;

const ARRAYS = { float32: Float32Array, float64: Float64Array, int32: Int32Array, int64: BigInt64Array, bool: Uint8Array };

export class Model {
  /** Loads a model; `states` names its states by their inputs. */
  static async load(url) {
    const model = new Model();
    model.session = await ort.InferenceSession.create(url);
    const { inputMetadata, outputNames } = model.session;
    model.states = new Map();
    for (const { name } of inputMetadata) {
      const output = name.replace(/_in$/, "_out");
      if (name.endsWith("_in") && outputNames.includes(output)) model.states.set(name, output);
    }
    model.inputs = inputMetadata.filter(({ name }) => !model.states.has(name));
    model.outputs = outputNames.filter((name) => ![...model.states.values()].includes(name));
    model.carried = {};
    return model;
  }

  /** A tensor for an input: sizes that are open are `batch`, then `steps`; `value` gives each number by its place. */
  tensor({ type, shape }, batch, steps, value = () => 0) {
    const sizes = shape.map((size, axis) => (typeof size === "number" ? size : axis === 0 ? batch : steps));
    const data = new ARRAYS[type](sizes.reduce((a, b) => a * b, 1));
    for (let k = 0; k < data.length; k++) data[k] = type === "int64" ? BigInt(Math.round(value(k))) : value(k);
    return new ort.Tensor(type, data, sizes);
  }

  /** What the model makes of its inputs by name; states go on from the call before, `reset()` begins anew. */
  async run(feeds) {
    const batch = Object.values(feeds)[0].dims[0];
    for (const meta of this.session.inputMetadata) {
      if (this.states.has(meta.name)) this.carried[meta.name] ??= this.tensor(meta, batch, 1);
    }
    const made = await this.session.run({ ...feeds, ...this.carried });
    for (const [input, output] of this.states) this.carried[input] = made[output];
    return Object.fromEntries(this.outputs.map((name) => [name, made[name]]));
  }

  reset() {
    this.carried = {};
  }
}
