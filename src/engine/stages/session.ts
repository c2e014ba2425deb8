/** The only module that touches ONNX Runtime. */
import './telemetry.js';

import { InferenceSession, listSupportedBackends, Tensor } from 'onnxruntime-node';
import { DataType } from '../../onnx/model.js';
import { processorsGiven } from '../../processors.js';
import type { Provider } from '../contract/device.js';
import { type TypedArray, typeName, typeOf, type Value, type Values } from '../tensors/value.js';

export interface Session {
  /**
   * @param fetched names of outputs; by default all
   * @throws ONNX Runtime's own error.
   */
  run(feeds: Values, fetched?: readonly string[]): Promise<Values>;
  /** Frees the native session now rather than when it is collected. */
  release(): Promise<void>;
}

export interface SessionOptions {
  /** Whether weights are rearranged for speed: costs a copy of them and half the time of a session that runs once. */
  readonly prepack: boolean;
  /** 0: as many as this process was given processors, or else as ONNX Runtime chooses. */
  readonly threads: number;
  /** Weights in memory, by the path that the model has for each: all that it has in files. By default they lie in `folder`. */
  readonly files?: ReadonlyMap<string, Uint8Array>;
  /** Whether nodes are run as they stand: nothing is computed beforehand, which would keep all that comes in between. */
  readonly asWritten?: boolean;
  /** What runs it; by default the CPU. What a graphics card has no operator for is run by the CPU in any case. */
  readonly provider?: Provider;
  /** Whether a session is refused that has operators which the provider does not run. */
  readonly whole?: boolean;
}

const allowed = processorsGiven(process.env.OMP_NUM_THREADS);

/** Names of the execution providers of this build, and whether all that they need comes with it. */
export function providersOfBuild(): readonly { readonly name: string; readonly bundled: boolean }[] {
  return listSupportedBackends();
}

/**
 * Loads a model from memory whose weights lie in files of `folder`.
 *
 * @throws ONNX Runtime's own error.
 */
export async function createSession(bytes: Uint8Array, folder: string, options: SessionOptions): Promise<Session> {
  const threads = options.threads || allowed;
  const session = await InferenceSession.create(bytes, {
    executionProviders: [options.provider ?? 'cpu'],
    graphOptimizationLevel: options.asWritten ? 'disabled' : 'all',
    ...(options.files?.size && { externalData: [...options.files].map(([path, data]) => ({ path, data })) }),
    // Warnings about models are not the user's business; errors are thrown, and a refusal of `whole` is an answer.
    logSeverityLevel: options.whole ? 4 : 3,
    enableMemPattern: false,
    ...(threads > 0 && { intraOpNumThreads: threads }),
    extra: {
      session: {
        model_external_initializers_file_folder_path: folder,
        // Several sessions are alive at once: idle threads that spin would fight.
        force_spinning_stop: '1',
        // A DequantizeLinear before a MatMul means what it says; by default activations would be rounded as well.
        qdq_matmulnbits_accuracy_level: '1',
        ...(!options.prepack && { disable_prepacking: '1' }),
        ...(options.whole && { disable_cpu_ep_fallback: '1' }),
      },
    },
  });
  return {
    run: async (feeds, fetched) => {
      const fed = Object.fromEntries([...feeds].map(([name, value]) => [name, toTensor(value)]));
      const results = await (fetched ? session.run(fed, fetched) : session.run(fed));
      return new Map(Object.entries(results).map(([name, tensor]) => [name, fromTensor(tensor)]));
    },
    release: () => session.release(),
  };
}

function toTensor(value: Value): Tensor {
  const name = typeName(value.type) as Tensor.Type;
  // Where the JavaScript engine has Float16Array, ONNX Runtime insists on it; else it takes the bits.
  const half = value.type === DataType.float16 ? float16Array() : undefined;
  const data = half ? new half(value.data.buffer, value.data.byteOffset, value.data.length) : value.data;
  return new Tensor(name, data as Tensor.DataTypeMap[typeof name], value.dims);
}

function fromTensor(tensor: Tensor): Value {
  const type = typeOf(tensor.type);
  const data = tensor.data as TypedArray;
  return {
    type,
    dims: tensor.dims,
    data: type === DataType.float16 ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data,
  };
}

type ArrayView = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => TypedArray;

function float16Array(): ArrayView | undefined {
  return (globalThis as { Float16Array?: ArrayView }).Float16Array;
}
