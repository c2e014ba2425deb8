/** VS Code as a person sees it, in a browser page. */
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Frame, Locator, Page } from 'playwright-core';
import { inject, vi } from 'vitest';
import { type Marks, readMarks } from './marks.js';
import { Panel } from './panel.js';

const screenshots = 'out/screenshots';
const patience = { timeout: 90_000, interval: 100 };
/** For one of several tries at a click or a key, in milliseconds. */
const oneTry = { timeout: 5_000 };

export interface Options {
  /** Content by file name. */
  readonly files: Readonly<Record<string, string | Uint8Array>>;
  readonly size?: { readonly width: number; readonly height: number };
}

export class Workbench {
  private constructor(
    readonly page: Page,
    readonly folder: string,
  ) {}

  /** Opens a window on a folder of its own that holds `files`. */
  static async open(browser: Browser, { files, size }: Options): Promise<Workbench> {
    const workspaces = inject('workspaces');
    await mkdir(workspaces, { recursive: true });
    const folder = await mkdtemp(join(workspaces, 'folder-'));
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
    const context = await browser.newContext({ viewport: size ?? { width: 1440, height: 900 } });
    context.setDefaultTimeout(patience.timeout);
    const workbench = new Workbench(await context.newPage(), folder);
    await workbench.page.goto(`${inject('url')}?folder=${pathToFileURL(folder).pathname}`);
    await workbench.ready();
    return workbench;
  }

  /** Waits until what a reload brings back is on the disk, with these words in it: it is shown before it is kept. */
  async kept(name: 'runs' | 'experiments', ...words: string[]): Promise<void> {
    await vi.waitFor(async () => {
      for (const workspace of await readdir(inject('storage'))) {
        const place = join(inject('storage'), workspace, 'sinkscope.sinkscope', name);
        // Each run has files of its own.
        const files = (await readdir(place).catch(() => [])).map((file) => join(place, file));
        for (const file of files.length > 0 ? files : [place]) {
          const content = await readFile(file, 'latin1').catch(() => '');
          if (words.every((word) => content.includes(word))) return;
        }
      }
      throw new Error(`${name} is not kept yet.`);
    }, patience);
  }

  /** Loads the window again, as after a restart. */
  async reload(): Promise<void> {
    const before = await this.page.locator('.monaco-workbench').elementHandle();
    await this.command('Developer: Reload Window');
    await vi.waitFor(async () => {
      if (await before?.isVisible()) throw new Error('The window was not loaded again.');
    }, patience);
    await this.ready();
  }

  /** Chooses a color theme by its name in the list. */
  async colorTheme(name: string): Promise<void> {
    await this.command('Preferences: Color Theme');
    const input = this.page.locator('.quick-input-widget input[placeholder^="Select Color Theme"]');
    await input.fill(name);
    await this.page.locator('.quick-input-list').getByRole('option', { name }).click();
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }

  /** Opens a file of the folder by Go to File. */
  async openFile(name: string): Promise<void> {
    await this.quickPick('ControlOrMeta+P', name, name);
    await this.tab(name).waitFor();
    await this.lines.first().waitFor();
  }

  /** The field of palettes and dialogs, and the list below it. */
  private get input(): Locator {
    return this.page.locator('.quick-input-widget input');
  }

  private get entries(): Locator {
    return this.page.locator('.quick-input-list');
  }

  tab(name: string | RegExp): Locator {
    return this.page.getByRole('tab', { name });
  }

  get editor(): Locator {
    return this.page.locator('.editor-instance .monaco-editor').first();
  }

  get lines(): Locator {
    return this.editor.locator('.view-line');
  }

  /** What is told of the text under the mouse. */
  get hover(): Locator {
    return this.page.locator('.monaco-hover:visible').first();
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
    // Others may begin alike; its keys may follow the title.
    await this.quickPick('F1', `>${title}`, new RegExp(`^${title}(,|$)`));
  }

  /** Types a path into the dialog that is asking for a file; where it opens, there is none of that name. */
  async answerDialog(path: string): Promise<void> {
    const entry = (name: string) => this.entries.getByRole('option', { name });
    // It fills in the folder first, and would add that to what is typed too early.
    await entry('..').waitFor();
    await this.input.fill(path);
    // It goes to the folder that was typed. Chosen before it is there, nothing is chosen: it goes there and stays open.
    await entry(basename(path)).waitFor();
    await this.page.getByRole('button', { name: 'Choose', exact: true }).click();
    await this.input.waitFor({ state: 'hidden' });
  }

  /** Right-clicks a line, which leaves a selection there as it is, and chooses an entry of the menu. */
  async contextMenu(title: string, line = this.lines.first()): Promise<void> {
    await this.menuOf(line, title);
  }

  /** Right-clicks anything and chooses an entry of its menu. */
  async menuOf(target: Locator, title: string): Promise<void> {
    const item = this.page.getByRole('menuitem', { name: title });
    await vi.waitFor(async () => {
      if (!(await item.isVisible())) {
        // A menu that was opened before the extension was known has no such entry. Nothing else takes an Escape.
        if (await this.page.locator('.context-view .monaco-menu').isVisible()) await this.page.keyboard.press('Escape');
        await target.click({ button: 'right', position: { x: 20, y: 8 }, ...oneTry });
      }
      // One that has only just opened takes no click.
      await item.click(oneTry);
      await item.waitFor({ state: 'hidden', ...oneTry });
    }, patience);
  }

  /** Selects a whole line, counted from 0. */
  async selectLine(index: number): Promise<void> {
    await this.lines.nth(index).click();
    await this.page.keyboard.press('Home');
    await this.page.keyboard.press('Shift+End');
  }

  /** A key with Ctrl, or Cmd on macOS. */
  async press(key: string): Promise<void> {
    await this.page.keyboard.press(`ControlOrMeta+${key}`);
  }

  /** What the extension has drawn on the text. */
  async marks(): Promise<Marks> {
    return readMarks(this.editor);
  }

  /** Right-clicks the text, chooses Analyze Prompt and waits for the panel to be complete. */
  async analyze(line?: Locator): Promise<Panel> {
    await this.contextMenu('Analyze Prompt', line);
    const panel = await this.panel();
    await panel.finished();
    return panel;
  }

  /** The panel as it is now: hiding or moving it makes another page of it. */
  async panel(): Promise<Panel> {
    return new Panel(await this.view('panel'));
  }

  /** The panel's summary at this moment; empty while there is none. */
  async summary(): Promise<string> {
    const frame = await this.findView('panel');
    if (!frame) return '';
    return (await new Panel(frame).summary.textContent({ timeout: 500 }).catch(() => undefined)) ?? '';
  }

  /** The page of a webview, once it is there and shown. */
  async view(name: 'panel'): Promise<Frame> {
    return vi.waitFor(async () => {
      const frame = await this.findView(name);
      if (frame) return frame;
      throw new Error(`There is no ${name} view.`);
    }, patience);
  }

  async screenshot(name: string): Promise<void> {
    await mkdir(screenshots, { recursive: true });
    await this.page.screenshot({ path: join(screenshots, `${name}.png`) });
  }

  /**
   * Types `text` into the field that `key` opens, and takes an entry of the list. A webview that is just coming up can
   * take the key, or the focus, which closes the field.
   */
  private async quickPick(key: string, text: string, name: string | RegExp): Promise<void> {
    await vi.waitFor(async () => {
      if (!(await this.input.isVisible())) await this.page.keyboard.press(key);
      await this.input.fill(text, oneTry);
      await this.entries.getByRole('option', { name }).first().click(oneTry);
    }, patience);
  }

  private async findView(name: string): Promise<Frame | undefined> {
    for (const frame of this.page.frames()) {
      const body = frame.locator(`body[data-view="${name}"]`);
      // A frame that is being replaced cannot be asked.
      if ((await body.count().catch(() => 0)) > 0) return frame;
    }
    return undefined;
  }

  private async ready(): Promise<void> {
    await this.page.locator('.monaco-workbench').waitFor();
  }
}
