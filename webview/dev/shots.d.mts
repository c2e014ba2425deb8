import type { Browser, Locator, Page } from 'playwright-core';

export interface Shot {
  /** From the project's folder. */
  readonly file: string;
  readonly query: Readonly<Record<string, string>>;
  readonly width: number;
  readonly height?: number;
  find(page: Page): Promise<Locator>;
}

export const root: string;
export const shots: readonly Shot[];
export function take(browser: Browser, address: string, shot: Shot): Promise<Buffer>;
