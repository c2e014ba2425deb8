/**
 * A copy of plain data with arrays that own their bytes. What comes from another process or a file is a view over one
 * large buffer, and VS Code would send all of that buffer to a webview with each view (microsoft/vscode#178719).
 */
export function compact<T>(value: T): T;
export function compact(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return copy(value);
  if (Array.isArray(value)) return value.map((item) => compact(item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, compact(item)]));
}

const kinds = [Float32Array, Float64Array, Int32Array, Uint32Array, Uint8Array];

function copy(view: ArrayBufferView): ArrayBufferView {
  const Kind = kinds.find((kind) => view instanceof kind);
  if (Kind) return new Kind(new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice().buffer);
  throw new TypeError(`A result holds a ${view.constructor.name}, which is none of the arrays results are made of`);
}
