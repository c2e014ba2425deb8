export function serve(port?: number): Promise<{
  readonly address: string;
  /** Built files by name. */
  readonly bundled: ReadonlyMap<string, Uint8Array>;
  close(): Promise<void>;
}>;
