/** Reading a model file: its structure only; weights stay where they are. */

import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { fileReason, SinkscopeError } from '../errors.js';
import { quoted } from '../visible.js';
import { ExternalData, pointerStart } from './external.js';
import { type FunctionDefinition, type Model, newestIrVersion } from './model.js';
import { type ModelParts, Parser } from './parse.js';
import { GraphError, ordered, orderedNodes } from './scope.js';
import { type ByteSource, WireError, WireReader } from './wire.js';

/** The oldest `ModelProto.ir_version` with opsets. */
const oldestIrVersion = 3;

/**
 * The model in `file`, without its weights: tensors of more than 1 KB stay ranges in files. Nodes come in an order in
 * which they can run.
 *
 * @throws SinkscopeError `file` (missing, truncated, not ONNX, wrong version), `external-data` (a weight file that is
 *   missing, too short or not allowed), `graph` (cycles, values with no source or two)
 */
export function readModel(file: string): Model {
  const refuse = (what: string, cause?: unknown): SinkscopeError =>
    new SinkscopeError({ code: 'file', file, message: `${file} ${what}` }, { cause });
  let path: string;
  let descriptor: number;
  let size: number;
  try {
    path = realpathSync(file);
    const status = statSync(path);
    // Before it is opened: opening a named pipe would wait for a writer.
    if (!status.isFile()) throw refuse('is no plain file; give the path of an .onnx file.');
    size = status.size;
    descriptor = openSync(path, 'r');
  } catch (error) {
    if (SinkscopeError.is(error)) throw error;
    throw refuse(`cannot be opened: ${fileReason(error)}. Check the path and that you may read it.`, error);
  }
  try {
    const source: ByteSource = {
      size,
      read: (into, position) => readSync(descriptor, into, 0, into.length, position),
    };
    return parseModel(source, path, resolve(file));
  } finally {
    closeSync(descriptor);
  }
}

/**
 * As {@link readModel}, from any bytes. `file` is the absolute path that weights inside the model are said to lie in,
 * `opened` the path before symbolic links were resolved.
 *
 * @throws SinkscopeError as {@link readModel}
 */
export function parseModel(source: ByteSource, file: string, opened = file): Model {
  const name = basename(file);
  const fail = (code: 'file' | 'graph', message: string, cause?: unknown): SinkscopeError =>
    new SinkscopeError({ code, file, message: `${name} ${message}` }, { cause });

  if (source.size === 0) throw fail('file', 'is empty; download or export it again.');
  const head = Buffer.alloc(Math.min(64, source.size));
  source.read(head, 0);
  if (head.toString('latin1').startsWith(pointerStart)) {
    throw fail('file', 'is only a Git LFS pointer; run `git lfs pull` in its folder to get the model itself.');
  }

  const packed = archiveFormat(source);
  if (packed) throw fail('file', `is ${packed}; unpack it and give the ONNX file inside, if there is one.`);
  const other = otherFormat(head) ?? formatByName(name);
  if (other) throw fail('file', `is ${other}, not an ONNX model; use an ONNX export in its place.`);

  const external = new ExternalData(file, opened);
  let parts: ModelParts;
  try {
    parts = new Parser(new WireReader(source), file, external).model();
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    if (!startsLikeModel(source)) {
      throw fail('file', `is not an ONNX model: it begins with ${inWords(head)}. Download or export it again.`, error);
    }
    const what = error.truncated ? 'is truncated' : 'is damaged or not supported';
    throw fail('file', `${what}: ${error.message}. Download or export it again.`, error);
  }
  external.refuseOverlaps();

  const { irVersion, producer, opsets, graph, functions } = parts;
  if (graph === undefined || irVersion === undefined) {
    throw fail('file', 'is not an ONNX model (or is cut off before its graph); download or export it again.');
  }
  if (irVersion < oldestIrVersion) {
    throw fail(
      'file',
      `has ONNX IR version ${irVersion}, and the oldest that can be read is ${oldestIrVersion}; export it again with another version of onnx.`,
    );
  }
  const isNewer = irVersion > newestIrVersion;
  const remarks = isNewer
    ? [`format: IR version ${irVersion} is run as ${newestIrVersion}, the newest that is known`]
    : [];
  if (opsets.size === 0) throw fail('file', 'names no operator set; export it again.');
  try {
    return {
      file,
      irVersion,
      producer,
      opsets,
      graph: ordered(graph),
      functions: functions.map(orderedFunction),
      remarks,
    };
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    throw fail('graph', `cannot be run: ${error.message}. Export it again.`, error);
  }
}

function orderedFunction(definition: FunctionDefinition): FunctionDefinition {
  return { ...definition, nodes: orderedNodes(definition.nodes, definition.inputs, new Set()) };
}

/** What a file is that is no ONNX model, by how it begins. */
function otherFormat(head: Buffer): string | undefined {
  const begins = (text: string, at = 0) => head.toString('latin1', at, at + text.length) === text;
  if (begins('GGUF')) return 'a GGUF file, as llama.cpp takes it';
  if (begins('ORTM', 4)) return 'in ONNX Runtime’s own format (.ort), which has no graph to look at';
  if (begins('TFL3', 4)) return 'a TensorFlow Lite file';
  if (begins('\u0089HDF\r\n')) return 'an HDF5 file, as Keras keeps models in';
  if (/^800[2-5]/.test(head.toString('hex'))) return 'a Python pickle, as PyTorch’s older checkpoints are';
  if (begins('{"', 8)) return 'a safetensors file, which has weights alone';
  if (begins('\u0093NUMPY')) return 'a NumPy array';
  if (/^\s*<(\?xml|net\s)/i.test(head.toString('latin1'))) return 'an XML file, as OpenVINO keeps models in';
  if (/^\s*<(!doctype html|html)/i.test(head.toString('latin1')))
    return 'a web page, as comes of a download that was refused';
  return head.every((byte) => byte === 0)
    ? 'all zeros where it begins, as what was never downloaded to its end'
    : undefined;
}

/** What a file is packed as, by its first bytes (of a tar archive, what stands behind its first name). */
function archiveFormat(source: ByteSource): string | undefined {
  const head = Buffer.alloc(Math.min(262, source.size));
  source.read(head, 0);
  const begins = (hex: string, at = 0) => head.subarray(at, at + hex.length / 2).toString('hex') === hex;
  // torch.save writes zip archives too.
  if (begins('504b0304')) return 'a zip archive, as checkpoints of PyTorch and models of Keras are';
  if (begins('1f8b')) return 'packed with gzip';
  if (begins('28b52ffd')) return 'packed with Zstandard';
  if (begins('fd377a585a00')) return 'packed with xz';
  if (begins('425a68')) return 'packed with bzip2';
  if (begins('377abcaf271c')) return 'a 7z archive';
  return begins('7573746172', 257) ? 'a tar archive' : undefined;
}

/** What a file is whose first bytes could be those of an ONNX model: these are protocol buffers too. */
function formatByName(name: string): string | undefined {
  if (/\.mlmodel$/i.test(name)) return 'a Core ML model';
  return /\.pb$/i.test(name) ? 'a graph of TensorFlow' : undefined;
}

/** A file's first bytes: the text that they are, or their values. */
function inWords(head: Buffer): string {
  const text = /^[\t\n\r\x20-\x7e]+/.exec(head.toString('latin1'))?.[0] ?? '';
  const bytes = () =>
    `the bytes ${head
      .subarray(0, 8)
      .toString('hex')
      .replace(/..(?=.)/g, '$& ')}`;
  return text.length >= 8 ? quoted(text.trim()) : bytes();
}

/** Every writer puts `ir_version` (field 1, a small number) first, then another field of a `ModelProto`. */
function startsLikeModel(source: ByteSource): boolean {
  const head = Buffer.alloc(3);
  if (source.read(head, 0) < 2 || head.readUInt8(0) !== 0x08 || head.readUInt8(1) >= 128) return false;
  return source.size === 2 || [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42, 0x72].includes(head.readUInt8(2));
}
