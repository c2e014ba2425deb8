/** VS Code as a person sees it, in a browser page. */
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { BrowserContext, Frame, Locator, Page } from 'playwright-core';
import { expect, inject, vi } from 'vitest';
import { keys } from './keys.js';
import { type Marks, readMarks } from './marks.js';
import { begun, Panel } from './panel.js';

const screenshots = 'out/screenshots';
const patience = { timeout: 90_000, interval: 100 };
/** For one of several tries at a click or a key, in milliseconds. */
const oneTry = { timeout: 5_000 };
/** For what comes of one try at an entry of a menu, which can be gone with its click. */
const coming = { timeout: 20_000, interval: 100 };

const ordinary = { width: 1440, height: 900 };

/** Webviews by what their page calls itself: the panel, the editor of models, that of saved results. */
type ViewName = 'panel' | 'model' | 'report';

export interface Options {
  /** Content by path in the folder. */
  readonly files: Readonly<Record<string, string | Uint8Array>>;
  readonly size?: { readonly width: number; readonly height: number };
}

export class Workbench {
  private constructor(
    readonly page: Page,
    readonly folder: string,
  ) {}

  /** Opens a window on a folder of its own that holds `files`. */
  static async open(context: BrowserContext, options: Options): Promise<Workbench> {
    const workspaces = inject('workspaces');
    await mkdir(workspaces, { recursive: true });
    const page = await context.newPage();
    page.setDefaultTimeout(patience.timeout);
    const workbench = new Workbench(page, await mkdtemp(join(workspaces, 'folder-')));
    await workbench.lay(options);
    await page.goto(`${inject('url')}?folder=${pathToFileURL(workbench.folder).pathname}`);
    await workbench.ready();
    return workbench;
  }

  /**
   * Closes all that is open, forgets what was analyzed and what was chosen, and has `files` in the folder in place of
   * those before.
   */
  async empty(options: Options): Promise<void> {
    await this.page.keyboard.press('Escape');
    await this.page.keyboard.press(keys.empty);
    const unsaved = this.page.locator('.monaco-dialog-box').getByRole('button', { name: "Don't Save" });
    const tabs = this.page.locator('.editor .tab');
    await vi.waitFor(async () => {
      if (await unsaved.isVisible()) await unsaved.click(oneTry);
      if (!(await this.input.isVisible())) throw new Error('Something is still open.');
    }, patience);
    await this.page.keyboard.press('Escape');
    await this.input.waitFor({ state: 'hidden' });
    await expect.poll(() => tabs.count()).toBe(0);
    await this.status.filter({ hasText: /llama · BOS auto$/ }).waitFor();
    await this.lay(options);
    await this.look();
  }

  /** Has the Explorer show what is on the disk now. */
  async look(): Promise<void> {
    const names = (await readdir(this.folder)).filter((name) => !name.startsWith('.'));
    await vi.waitFor(async () => {
      await this.page.keyboard.press(keys.look);
      for (const name of names) await this.inExplorer(name).waitFor({ timeout: 1_000 });
    }, patience);
  }

  /** What the status bar says where nothing goes on: what texts are analyzed with, and what was found. */
  get status(): Locator {
    return this.page.locator('[id="sinkscope.sinkscope.sinkscope.progress"]');
  }

  private async lay({ files, size }: Options): Promise<void> {
    for (const name of await readdir(this.folder)) await rm(join(this.folder, name), { recursive: true });
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(this.folder, name)), { recursive: true });
      await writeFile(join(this.folder, name), content);
    }
    await this.page.setViewportSize(size ?? ordinary);
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
    await this.page.close();
  }

  /** Leaves a picture of where a test got to. */
  async failed(test: string): Promise<void> {
    await this.screenshot(`failed ${test.replaceAll(/\W+/g, '-')}`);
  }

  /** Opens a file by a double click in the Explorer, to stay open. */
  async openFile(name: string): Promise<void> {
    await this.inExplorer(name).dblclick();
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
    await this.quickPick('F1', `>${title}`, new RegExp(`^${title.replaceAll(/[.()]/g, '\\$&')}(,|$)`));
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

  /** Takes an entry of the list that is open, after typing what is looked for. */
  async pick(entry: RegExp, sought = ''): Promise<void> {
    const found = this.entries.getByRole('option', { name: entry });
    if (sought !== '') await this.input.fill(sought);
    await found.click();
    await found.waitFor({ state: 'detached' });
  }

  /** Answers the field that asks this; the palette that it was called from may still be there. */
  async answer(question: string, text: string): Promise<void> {
    const field = this.page.locator('.quick-input-widget', { hasText: question }).locator('input:focus');
    await field.fill(text);
    await field.press('Enter');
  }

  /** By keys, takes the name that the dialog asking where to save proposes, and gives the file's path, once it has something. */
  async answerSaving(): Promise<string> {
    const before = await readdir(this.folder);
    return vi.waitFor(async () => {
      const made = (await readdir(this.folder)).find((name) => !before.includes(name));
      if (made === undefined) {
        // It fills in the folder first and then the name, over what was typed before. A key too early leaves it open.
        const proposed = (await this.input.isVisible()) ? await this.input.inputValue(oneTry) : '';
        if (basename(proposed).includes('.')) await this.page.keyboard.press('Enter');
        throw new Error('Nothing is saved yet.');
      }
      const path = join(this.folder, made);
      if ((await stat(path)).size === 0) throw new Error(`${made} is empty yet.`);
      return path;
    }, patience);
  }

  /** A file or folder in the Explorer. */
  inExplorer(name: string): Locator {
    return this.page.locator('.explorer-folders-view').getByRole('treeitem', { name, exact: true });
  }

  /** A line of the extension's own views in the side bar. */
  inSideBar(name: string | RegExp): Locator {
    return this.page.locator('.part.sidebar').getByRole('treeitem', { name });
  }

  /**
   * Right-clicks anything, which leaves a selection there as it is, and chooses an entry of its menu, again where
   * nothing comes of it: a menu goes, with its click, when something else takes the focus or its line is drawn anew.
   *
   * @param comes what comes of it, on a page of the panel
   */
  async menuOf(target: Locator, title: string, comes?: (panel: Panel) => Locator): Promise<void> {
    const item = this.page.getByRole('menuitem', { name: title });
    await vi.waitFor(async () => {
      if (!(await item.isVisible())) {
        // What the line was gone for is asked for in a field.
        if (await this.input.isVisible()) await this.page.keyboard.press('Escape');
        // A menu that was opened before the extension was known has no such entry. Nothing else takes an Escape.
        if (await this.page.locator('.context-view .monaco-menu').isVisible()) await this.page.keyboard.press('Escape');
        await target.click({ button: 'right', position: { x: 20, y: 8 }, ...oneTry });
      }
      // One that has only just opened takes no click.
      await item.click(oneTry);
      await item.waitFor({ state: 'hidden', ...oneTry });
      if (!comes) return;
      await vi.waitFor(async () => {
        const frame = await this.findView('panel');
        if (!frame || (await comes(new Panel(frame)).count()) === 0) throw new Error(`Nothing came of ${title} yet.`);
      }, coming);
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
  async analyze(line = this.lines.first()): Promise<Panel> {
    await this.menuOf(line, 'Analyze Prompt', begun);
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
  async view(name: ViewName): Promise<Frame> {
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
    let isFirst = true;
    await vi.waitFor(async () => {
      // A field that is still there after a try may be another one: what was taken may ask something.
      if (!isFirst && (await this.input.isVisible())) await this.page.keyboard.press('Escape');
      isFirst = false;
      if (!(await this.input.isVisible())) await this.page.keyboard.press(key);
      await this.input.fill(text, oneTry);
      await this.entries.getByRole('option', { name }).first().click(oneTry);
    }, patience);
  }

  private async findView(name: ViewName): Promise<Frame | undefined> {
    for (const frame of this.page.frames()) {
      const body = frame.locator(`body[data-view="${name}"]`);
      // A frame that is being replaced cannot be asked.
      if ((await body.count().catch(() => 0)) > 0) return frame;
    }
    return undefined;
  }

  private async ready(): Promise<void> {
    // Before extensions are known, any file is opened as a text.
    await this.page.locator('.activitybar').getByRole('tab', { name: 'Sinkscope', exact: true }).waitFor();
  }
}

/** Has these settings of the user in force, in all windows, while `body` goes on. */
export async function configured(
  settings: Readonly<Record<string, unknown>>,
  body: () => Promise<void>,
): Promise<void> {
  const before = await readFile(inject('settings'), 'utf8');
  await writeFile(inject('settings'), JSON.stringify({ ...JSON.parse(before), ...settings }));
  try {
    await body();
  } finally {
    await writeFile(inject('settings'), before);
  }
}
