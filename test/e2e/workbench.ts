/** VS Code as a person sees it, in a browser page. */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Frame, Locator, Page } from 'playwright-core';
import { inject, vi } from 'vitest';
import { Panel } from './panel.js';

const screenshots = 'out/screenshots';
const patience = { timeout: 30_000, interval: 100 };

/** How a piece of text looks in the editor. */
export interface Mark {
  readonly text: string;
  /** What is drawn before the text, e.g. `▲`. */
  readonly sign: string;
  readonly border: boolean;
  readonly underline: boolean;
  readonly outline: boolean;
}

export interface Options {
  /** Text by file name. */
  readonly files: Readonly<Record<string, string>>;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly size?: { readonly width: number; readonly height: number };
}

export class Workbench {
  private constructor(
    readonly page: Page,
    readonly folder: string,
  ) {}

  /** Opens a window on a folder of its own that holds `files`. */
  static async open(browser: Browser, { files, settings = {}, size }: Options): Promise<Workbench> {
    const workspaces = inject('workspaces');
    await mkdir(workspaces, { recursive: true });
    const folder = await mkdtemp(join(workspaces, 'folder-'));
    const all = { ...files, '.vscode/settings.json': JSON.stringify(settings) };
    for (const [name, text] of Object.entries(all)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    const context = await browser.newContext({ viewport: size ?? { width: 1440, height: 900 } });
    const workbench = new Workbench(await context.newPage(), folder);
    await workbench.page.goto(`${inject('url')}?folder=${pathToFileURL(folder).pathname}`);
    await workbench.ready();
    return workbench;
  }

  /** Loads the window again, as after a restart. */
  async reload(): Promise<void> {
    await this.page.reload();
    await this.ready();
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }

  /** Opens a file of the folder by Go to File. */
  async openFile(name: string): Promise<void> {
    await this.press('P');
    const input = this.page.locator('.quick-input-widget input');
    await input.fill(name);
    await this.page.locator('.quick-input-list').getByRole('option', { name }).first().waitFor();
    await input.press('Enter');
    await this.tab(name).waitFor();
    await this.lines.first().waitFor();
  }

  tab(name: string): Locator {
    return this.page.getByRole('tab', { name });
  }

  get editor(): Locator {
    return this.page.locator('.editor-instance .monaco-editor').first();
  }

  get lines(): Locator {
    return this.editor.locator('.view-line');
  }

  /** The text of the editor as far as it is on screen. */
  async text(): Promise<string> {
    const lines = await this.lines.evaluateAll((elements) =>
      elements
        .map((element) => ({ top: element.getBoundingClientRect().top, text: element.textContent ?? '' }))
        .sort((a, b) => a.top - b.top)
        .map(({ text }) => text),
    );
    return lines.join('\n').replaceAll('\u00a0', ' ');
  }

  /** Runs a command by its title from the palette. */
  async command(title: string): Promise<void> {
    await this.page.keyboard.press('F1');
    const input = this.page.locator('.quick-input-widget input');
    await input.fill(`>${title}`);
    await this.page.locator('.quick-input-list').getByRole('option', { name: title }).first().waitFor();
    await input.press('Enter');
  }

  /** Right-clicks the text and chooses an entry of the menu. */
  async contextMenu(title: string): Promise<void> {
    await this.lines.first().click({ button: 'right', position: { x: 20, y: 8 } });
    await this.page.getByRole('menuitem', { name: title }).click();
  }

  /** A key with Ctrl, or Cmd on macOS. */
  async press(key: string): Promise<void> {
    await this.page.keyboard.press(`ControlOrMeta+${key}`);
  }

  /** Everything in the editor that looks different from plain text. */
  async marks(): Promise<Mark[]> {
    return this.lines.locator('span[class*="TextEditorDecorationType"]').evaluateAll((elements) =>
      elements.map((element) => {
        const style = getComputedStyle(element);
        const sign = getComputedStyle(element, '::before').content;
        return {
          text: element.textContent ?? '',
          sign: sign === 'none' || sign === 'normal' ? '' : sign.replaceAll('"', ''),
          border: style.borderTopStyle !== 'none',
          underline: style.textDecorationLine.includes('underline'),
          outline: style.outlineStyle !== 'none',
        };
      }),
    );
  }

  /** Right-clicks the text, chooses Analyze Prompt and waits for the panel to be complete. */
  async analyze(): Promise<Panel> {
    await this.contextMenu('Analyze Prompt');
    const panel = await this.panel();
    await panel.finished();
    return panel;
  }

  /** The panel as it is now: hiding or moving it makes another page of it. */
  async panel(): Promise<Panel> {
    return new Panel(await this.view('panel'));
  }

  /** The page of a webview, once it is there and shown. */
  async view(name: 'panel' | 'side'): Promise<Frame> {
    return vi.waitFor(async () => {
      for (const frame of this.page.frames()) {
        // A frame that is being replaced cannot be asked.
        const found = await frame
          .locator(`body[data-view="${name}"]`)
          .count()
          .catch(() => 0);
        if (found > 0) return frame;
      }
      throw new Error(`There is no ${name} view.`);
    }, patience);
  }

  async screenshot(name: string): Promise<void> {
    await mkdir(screenshots, { recursive: true });
    await this.page.screenshot({ path: join(screenshots, `${name}.png`) });
  }

  private async ready(): Promise<void> {
    await this.page.locator('.monaco-workbench').waitFor();
  }
}
