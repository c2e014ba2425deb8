/**
 * What the engine's process may do beside computing, by Node.js's permission model where the running Node.js has it:
 * read files, and write into the one folder where a result is to be saved; start no program and debug nothing. It binds
 * JavaScript alone: native code that was taken over is not held by it. docs/security.md says what there is besides.
 */
import { dirname, resolve, sep } from 'node:path';

/** Flags for the engine's process; none where there is no such model that is known to work. */
export function sandboxFlags(folder: string | undefined): readonly string[] {
  if (!isSandboxed()) return [];
  return [
    permissionFlag,
    // ONNX Runtime and the tokenizer library; the guard's thread.
    '--allow-addons',
    '--allow-worker',
    '--allow-fs-read=*',
    ...(folder === undefined ? [] : [`--allow-fs-write=${folder}`]),
    // It is one in Node.js 20, and that native code is let in is known.
    '--disable-warning=ExperimentalWarning',
    '--disable-warning=SecurityWarning',
  ];
}

const permissionFlag = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission';

/** Not in Electron: that it takes the flags was never seen, and an engine that does not start is no gain. */
export function isSandboxed(): boolean {
  const { allowedNodeEnvironmentFlags: flags, versions } = process;
  const wanted = [permissionFlag, '--allow-addons', '--disable-warning'];
  return versions.electron === undefined && wanted.every((flag) => flags.has(flag));
}

/**
 * The folder that has to be writable to save `file`, as the flag names it; `*` means everywhere, which a folder's own
 * asterisk or comma would come to mean in the flag.
 */
export function writableFor(file: string): string {
  const folder = dirname(resolve(file));
  return /[*,]/.test(folder) ? '*' : folder.endsWith(sep) ? folder : folder + sep;
}
