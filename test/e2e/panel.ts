/** The panel's page: what a person reads there and clicks on. */
import type { Frame, Locator } from 'playwright-core';

export class Panel {
  constructor(private readonly frame: Frame) {}

  /** What the run shows, in words. */
  get summary(): Locator {
    return this.frame.locator('sinkscope-summary ul');
  }

  /** Model, T, BOS and thresholds, below the summary. */
  get conditions(): Locator {
    return this.frame.locator('sinkscope-summary small');
  }

  /** How far the run is, e.g. `8 of 8 layers · 0.4 s`. */
  get status(): Locator {
    return this.frame.getByTestId('status');
  }

  get stop(): Locator {
    return this.frame.getByTestId('stop');
  }

  get again(): Locator {
    return this.frame.getByTestId('again');
  }

  /** What went wrong, in the place where the result would be. */
  get problem(): Locator {
    return this.frame.getByRole('alert');
  }

  /** What can be done about it. */
  help(name: string): Locator {
    return this.frame.getByTestId(`help-${name}`);
  }

  /** Has all tokens tinted, none, or those that stand out. */
  tint(which: 'large' | 'all' | 'off' | 'surprisal'): Locator {
    return this.frame.getByTestId(`tint-${which}`);
  }

  /** What the colours of the tint stand for. */
  get key(): Locator {
    return this.frame.locator('sinkscope-token-strip .key');
  }

  get tokens(): Locator {
    return this.frame.locator('sinkscope-token-strip').getByRole('option');
  }

  get selectedToken(): Locator {
    return this.frame.locator('sinkscope-token-strip').getByRole('option', { selected: true });
  }

  get massiveRows(): Locator {
    return this.frame.locator('sinkscope-massive-table tbody tr');
  }

  /** Picks an entry of the model's or the prefix token's list. */
  async choose(list: 'model' | 'bos', entry: RegExp): Promise<void> {
    const box = this.frame.getByTestId(list);
    await box.click();
    await box.getByRole('option', { name: entry }).click();
  }

  get pin(): Locator {
    return this.frame.getByTestId('pin');
  }

  /** That a run is pinned or a model watched, and what moved. */
  get moved(): Locator {
    return this.frame.locator('sinkscope-moved');
  }

  /** That what is shown follows the text, and how. */
  get live(): Locator {
    return this.frame.getByTestId('live');
  }

  /** Chooses an entry of the menu of what is exported of the run. */
  async export(entry: string): Promise<void> {
    await this.frame.getByTestId('export').click();
    await this.frame.getByRole('button', { name: entry }).click();
  }

  /** Chooses how a figure is saved. */
  async save(figure: string, entry: string): Promise<void> {
    await this.frame.getByLabel(`save ${figure}`, { exact: true }).click();
    await this.frame.getByRole('button', { name: entry }).filter({ visible: true }).click();
  }

  /** A run on the page of experiments, by its title. */
  experiment(title: string): Locator {
    return this.frame.getByRole('article', { name: title });
  }

  get runExperiment(): Locator {
    return this.frame.getByTestId('run-experiment');
  }

  async chooseExperiment(title: string): Promise<void> {
    await this.frame.getByTestId('experiment').selectOption({ label: title });
  }

  async showExperiments(): Promise<void> {
    await this.frame.getByTestId('page-experiments').click();
  }

  /** Picks an entry of one of the form's lists. */
  async pick(list: string, entry: string): Promise<void> {
    await this.frame.getByLabel(list).selectOption({ label: entry });
  }

  /** Opens the dialog behind one of the form's buttons. */
  async chooseFile(input: string): Promise<void> {
    await this.frame.getByRole('button', { name: new RegExp(`^${input}: `) }).click();
  }

  /** The form's button, once it names this file. */
  file(input: string, name: string): Locator {
    return this.frame.getByRole('button', { name: `${input}: ${name}` });
  }

  /** What has the focus, by its name. */
  async focused(): Promise<string> {
    return this.frame.evaluate(() => {
      let element = document.activeElement;
      while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
      return element?.ariaLabel ?? element?.textContent?.trim() ?? '';
    });
  }

  /** How VS Code tells a webview its kind of theme. */
  async bodyClasses(): Promise<string[]> {
    return this.frame.locator('body').evaluate((body) => [...body.classList]);
  }

  /** Pixels by which the page is wider than it can be shown. */
  async overflow(): Promise<number> {
    return this.frame.locator('html').evaluate((page) => page.scrollWidth - page.clientWidth);
  }

  /** Waits for the last event of a run that went well. */
  async finished(): Promise<void> {
    await this.status.filter({ hasText: / m?s$/ }).waitFor();
  }
}

/** That a run was asked for, however far it is. */
export const begun = ({ status }: Panel): Locator => status.filter({ hasText: /./ });
