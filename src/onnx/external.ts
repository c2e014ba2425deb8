/**
 * Weights beside the model file (`TensorProto.external_data`). A model file is untrusted: a location may name only a
 * plain file of its own inside the model's folder (CVE-2022-25882, CVE-2024-27318 and CVE-2024-5187 were breaches).
 */
import { lstatSync, readFileSync, realpathSync, type Stats } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';
import { SinkscopeError } from '../errors.js';
import { quoted } from '../visible.js';
import type { FileRange } from './model.js';

/** Whether `blobs` and `snapshot` are, or lie in, the two folders of one repository in Hugging Face's cache. */
function isHubCache(blobs: string, snapshot: string): boolean {
  const inside = relative(join(dirname(blobs), 'snapshots'), snapshot);
  // Absolute: on another drive.
  return basename(blobs) === 'blobs' && inside !== '' && inside.split(sep)[0] !== '..' && !isAbsolute(inside);
}

/** Git LFS leaves a short text in the place of a file that was not fetched. */
const isPointer = (file: string, size: number): boolean =>
  size < 1024 && readFileSync(file, 'latin1').startsWith(pointerStart);

/** How such a text begins. */
export const pointerStart = 'version https://git-lfs';

/** The data files of one model, each checked once, and the ranges in them that weights take. */
export class ExternalData {
  private readonly folder: string;
  private readonly files = new Map<string, { readonly file: string; readonly size: number }>();
  private readonly ranges: { readonly tensor: string; readonly range: FileRange }[] = [];

  /** `model` is the model file with symbolic links resolved, `opened` the path it was opened by. */
  constructor(
    private readonly model: string,
    private readonly opened: string,
  ) {
    this.folder = dirname(model);
  }

  /**
   * Where the data of `tensor` lie, checked. `entries` are the file's own key-value pairs; `expected` is the number of
   * bytes that type and dims ask for, undefined where the type is unknown.
   *
   * @throws SinkscopeError `external-data` for a location that is not allowed or missing, and for data that do not fit
   */
  range(tensor: string, entries: ReadonlyMap<string, string>, expected: number | undefined): FileRange {
    const location = entries.get('location') ?? '';
    const { file, size } = this.files.get(location) ?? this.check(tensor, location);
    const offset = this.integer(tensor, 'offset', entries.get('offset')) ?? 0;
    const stated = this.integer(tensor, 'length', entries.get('length'));
    const length = stated ?? expected ?? Math.max(0, size - offset);
    if (offset + length > size) {
      if (isPointer(file, size))
        throw this.error(
          file,
          `The data file ${quoted(location)} is only a Git LFS pointer; run \`git lfs pull\` in its folder to get the weights themselves.`,
        );
      throw this.error(
        file,
        `The data file ${quoted(location)} is too short: the weight ${quoted(tensor)} needs bytes ${offset} to ${offset + length}, and the file has ${size}. Download or export it again.`,
      );
    }
    if (expected !== undefined && length !== expected) {
      throw this.error(
        file,
        `The weight ${quoted(tensor)} has ${length} bytes in ${quoted(location)} where its type and shape need ${expected}. Export the model again.`,
      );
    }
    const range = { file, offset, length };
    this.ranges.push({ tensor, range });
    return range;
  }

  /**
   * Two weights may be one (tied), never partly one.
   *
   * @throws SinkscopeError `external-data`
   */
  refuseOverlaps(): void {
    // By file: one can be named in any number of ways, as in `./weights` and `././weights`.
    const groups = new Map<string, (typeof this.ranges)[number][]>();
    for (const one of this.ranges) {
      if (one.range.length === 0) continue;
      const group = groups.get(one.range.file);
      if (group) group.push(one);
      else groups.set(one.range.file, [one]);
    }
    for (const [file, group] of groups) {
      group.sort((a, b) => a.range.offset - b.range.offset || a.range.length - b.range.length);
      for (let i = 1; i < group.length; i++) {
        const [before, after] = [group[i - 1], group[i]];
        if (before === undefined || after === undefined) continue;
        const same = before.range.offset === after.range.offset && before.range.length === after.range.length;
        if (!same && after.range.offset < before.range.offset + before.range.length) {
          throw this.error(
            file,
            `The weights ${quoted(before.tensor)} and ${quoted(after.tensor)} overlap in ${quoted(basename(file))}. Export the model again.`,
          );
        }
      }
    }
  }

  private check(tensor: string, location: string): { readonly file: string; readonly size: number } {
    const named = `the data file ${quoted(location)} of the weight ${quoted(tensor)}`;
    const inFolder = 'Data files must lie in the folder of the model.';
    const refuse = (what: string): SinkscopeError =>
      this.error(this.model, `${basename(this.model)} is refused: ${named} ${what}`);
    if (location === '') throw refuse('has no name. Export the model again.');
    // ONNX Runtime's own tag for tensors of its process; it would read what lies at an address.
    if (location.includes('_ORT_MEM_ADDR_')) throw refuse('is a place in memory. Export the model again.');
    if (location.includes('\0')) throw refuse('has a zero byte in its name. Export the model again.');
    if (/^([/\\]{2}|\\\\)/.test(location)) throw refuse(`is a network path. ${inFolder}`);
    if (/^[a-zA-Z]:/.test(location)) throw refuse(`names a drive. ${inFolder}`);
    if (/^[/\\]/.test(location)) throw refuse(`is an absolute path. ${inFolder}`);
    if (location.split(/[/\\]/).includes('..')) throw refuse(`leads out of the folder with "..". ${inFolder}`);
    if (location.includes('\\')) throw refuse('has a backslash in its name. Export the model with forward slashes.');

    const file = this.besideLink(location) ?? join(this.folder, location);
    let status: Stats;
    try {
      status = lstatSync(file);
    } catch (error) {
      throw this.error(
        file,
        `The data file ${quoted(location)} with the weight ${quoted(tensor)} is missing beside ${this.model}. Put it there; it comes with the model.`,
        error,
      );
    }
    if (status.isSymbolicLink() || realpathSync(file) !== file) {
      throw refuse('is reached through a symbolic link. Copy the file itself into the folder of the model.');
    }
    if (status.isDirectory()) throw refuse('is a directory. Export the model again.');
    if (status.isFIFO()) throw refuse('is a named pipe (FIFO). Only plain files are read.');
    if (status.isCharacterDevice() || status.isBlockDevice()) throw refuse('is a device. Only plain files are read.');
    if (!status.isFile()) throw refuse('is no plain file. Only plain files are read.');
    if (status.nlink > 1) {
      throw refuse('has a second name on this disk (a hard link). Copy the file itself into the folder of the model.');
    }
    const found = { file, size: status.size };
    this.files.set(location, found);
    return found;
  }

  /**
   * The Hugging Face cache keeps all files of a repository in `blobs`, under other names, and links to them from
   * `snapshots/<version>` beside it: where the model was opened by such a link, its data may be reached by one too, if
   * they truly lie in the model's folder.
   */
  private besideLink(location: string): string | undefined {
    try {
      if (this.opened === this.model || !lstatSync(this.opened).isSymbolicLink()) return undefined;
      if (!isHubCache(this.folder, realpathSync(dirname(this.opened)))) return undefined;
      const target = realpathSync(join(dirname(this.opened), location));
      return dirname(target) === this.folder ? target : undefined;
    } catch {
      return undefined;
    }
  }

  private integer(tensor: string, key: 'offset' | 'length', text: string | undefined): number | undefined {
    if (text === undefined || text === '') return undefined;
    const value = /^-?\d{1,20}$/.test(text) ? Number(text) : Number.NaN;
    if (value < 0)
      throw this.error(
        this.model,
        `The weight ${quoted(tensor)} has a negative ${key} (${text}). Export the model again.`,
      );
    if (!Number.isSafeInteger(value)) {
      throw this.error(
        this.model,
        `The weight ${quoted(tensor)} has ${quoted(text)} as its ${key}, which is no number of bytes. Export the model again.`,
      );
    }
    return value;
  }

  private error(file: string, message: string, cause?: unknown): SinkscopeError {
    return new SinkscopeError({ code: 'external-data', file, message }, { cause });
  }
}
