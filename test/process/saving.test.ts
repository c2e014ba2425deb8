import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { checkTarget, makeFolders, partialFile, removePartials, saveWhole, writerOf } from '../../src/saving.js';
import { temporaryFolder } from '../support/files.js';

const temporary = await temporaryFolder();
let folder: string;
let file: string;
beforeEach(() => {
  folder = execFileSync('mktemp', ['-d', '-p', temporary], { encoding: 'utf8' }).trim();
  file = join(folder, 'result.json');
});

/** The number of a process that has ended. */
const ended = () => spawnSync(process.execPath, ['--eval', '']).pid;

it('a file is written whole, new or in the place of another', async () => {
  await saveWhole(file, 'one');
  await saveWhole(file, 'two');
  expect(readFileSync(file, 'utf8')).toBe('two');
  expect(readdirSync(folder)).toEqual(['result.json']);
});

describe('folders', () => {
  it('are made with those above them, by several at once, and stay', async () => {
    const wanted = ['a/b/c', 'a/b/d', 'a/b/c'].map((path) => join(folder, path));
    await Promise.all(wanted.map(makeFolders));
    await saveWhole(join(folder, 'a/b/c/x'), 'kept');
    await makeFolders(join(folder, 'a/b/c'));
    expect(readdirSync(folder, { recursive: true }).sort()).toEqual(['a', 'a/b', 'a/b/c', 'a/b/c/x', 'a/b/d']);
  });

  it('are refused at once where something is in the way', async () => {
    writeFileSync(file, '');
    symlinkSync(join(folder, 'nowhere'), join(folder, 'dangling'));
    await expect(makeFolders(file)).rejects.toThrow('EEXIST');
    await expect(makeFolders(join(file, 'a/b'))).rejects.toThrow('ENOTDIR');
    await expect(makeFolders(join(folder, 'dangling'))).rejects.toThrow('ENOENT');
    await expect(makeFolders(join(folder, 'dangling/a'))).rejects.toThrow('ENOENT');
    // Is there, and takes nothing.
    if (existsSync('/proc')) await expect(makeFolders('/proc/none/a')).rejects.toThrow('ENOENT');
    expect(existsSync(join(folder, 'nowhere'))).toBe(false);
  });
});

describe('what is no regular file stays as it is', () => {
  it('a link and what it leads to', async () => {
    const target = join(folder, 'precious');
    writeFileSync(target, 'kept');
    symlinkSync(target, file);
    await expect(saveWhole(file, 'x')).rejects.toThrow(/result\.json cannot be written: it is a link or a device/);
    expect(lstatSync(file).isSymbolicLink()).toBe(true);
    expect(readFileSync(target, 'utf8')).toBe('kept');
    expect(readdirSync(folder).sort()).toEqual(['precious', 'result.json']);
  });

  it('a pipe, a device, a folder, and what is in no folder', async () => {
    execFileSync('mkfifo', [file]);
    await expect(checkTarget(file)).rejects.toThrow(/it is a link or a device/);
    await expect(checkTarget('/dev/null')).rejects.toThrow(/it is a link or a device/);
    await expect(checkTarget(folder)).rejects.toThrow(/it is a folder; give the name of a file/);
    await expect(checkTarget(join(folder, 'no/x.json'))).rejects.toThrow(
      /the folder .*no does not exist; make it first/,
    );
  });

  it('a link in the place of the partial file', async () => {
    const target = join(folder, 'precious');
    writeFileSync(target, 'kept');
    symlinkSync(target, partialFile(file));
    await saveWhole(file, 'whole');
    expect(readFileSync(target, 'utf8')).toBe('kept');
    expect(readFileSync(file, 'utf8')).toBe('whole');
  });
});

describe('what a killed process has left', () => {
  it('is removed by the next one that saves there', async () => {
    const stale = partialFile(join(folder, 'other.safetensors'), `${ended()}`);
    writeFileSync(stale, 'half');
    await saveWhole(file, 'whole');
    expect(existsSync(stale)).toBe(false);
  });

  it('is removed too where nobody has asked about the end of that process', async ({ skip }) => {
    skip(process.platform !== 'linux', 'told from /proc');
    // The shell becomes a program that never waits for its child; as long as it is a shell it would.
    const parent = spawn('sh', ['-c', 'sleep 600 & echo $!; exec sleep 600'], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const [said] = await once(parent.stdout, 'data');
      const pid = Number(String(said));
      const parentIs = () => readFileSync(`/proc/${parent.pid}/comm`, 'latin1');
      await expect.poll(parentIs, { timeout: 60_000 }).toBe('sleep\n');
      process.kill(pid, 'SIGKILL');
      await expect.poll(() => readFileSync(`/proc/${pid}/stat`, 'latin1'), { timeout: 60_000 }).toMatch(/\) Z /);
      const stale = partialFile(join(folder, 'other.safetensors'), writerOf(pid));
      writeFileSync(stale, 'half');
      await saveWhole(file, 'whole');
      expect(existsSync(stale)).toBe(false);
    } finally {
      parent.kill();
    }
  });

  it('is removed too where another process has its number now', async ({ skip }) => {
    skip(process.platform !== 'linux', 'told from /proc');
    const stale = partialFile(join(folder, 'other.safetensors'), `${process.ppid}-1`);
    writeFileSync(stale, 'half');
    await saveWhole(file, 'whole');
    expect(existsSync(stale)).toBe(false);
  });

  it('is removed by who has ended it, all of one process', async () => {
    const pid = ended();
    const own = ['model.onnx', 'model.onnx.data', 'adapter_model.safetensors'].map((name) =>
      partialFile(join(folder, name), `${pid}-1`),
    );
    const other = partialFile(join(folder, 'other.safetensors'));
    for (const path of [...own, other]) writeFileSync(path, 'half');
    await removePartials(folder, pid);
    expect([...own, other].map((path) => existsSync(path))).toEqual([false, false, false, true]);
  });

  it('stays where its process lives, or is another machine’s', async () => {
    const living = partialFile(join(folder, 'other.safetensors'), writerOf(process.ppid));
    const elsewhere = join(folder, `.other.safetensors.another-host-${ended()}.partial`);
    for (const path of [living, elsewhere]) writeFileSync(path, 'half');
    await saveWhole(file, 'whole');
    expect([living, elsewhere].map((path) => existsSync(path))).toEqual([true, true]);
  });
});
