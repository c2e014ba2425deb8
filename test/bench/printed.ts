/** What several measurements say of the machine, and how they print it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** The day, the graphics card as its driver's own tool names it, and the processor. */
export function sitting(): string {
  return `${new Date().toISOString().slice(0, 10)}, ${card()}, ${cpus()[0]?.model} (${cpus().length} threads)`;
}

function card(): string {
  const query = ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader'];
  try {
    return execFileSync('nvidia-smi', query, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'a card whose name nvidia-smi does not tell';
  }
}

/** Bytes of resident memory that a process had at most; undefined where the system does not tell (only Linux does). */
export function peakMemory(pid: number | undefined): number | undefined {
  try {
    const kilobytes = /VmHWM:\s*(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kilobytes === undefined ? undefined : 1024 * Number(kilobytes);
  } catch {
    return undefined;
  }
}

/** A part under its heading, in Markdown. What one cannot do takes nothing from the others. */
export async function part(name: string, run: () => Promise<void>): Promise<void> {
  console.log(`## ${name}\n`);
  await run().catch((error: unknown) => console.log(`failed: ${error instanceof Error ? error.stack : String(error)}`));
  console.log('');
}

/** A table in Markdown. */
export function table(columns: readonly string[], rows: readonly (readonly string[])[]): void {
  console.log(`| ${columns.join(' | ')} |\n| ${columns.map(() => '---').join(' | ')} |`);
  for (const row of rows) console.log(`| ${row.join(' | ')} |`);
}
