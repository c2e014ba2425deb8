/**
 * One head's attention pattern: queries down, keys across. Asked for when a head is selected; of a block that attends to
 * other states as well (an encoder's), that one is a click away, and its columns are no tokens of the run.
 */
import { css, nothing, type PropertyValues } from 'lit';
import { customElement, query, state } from 'lit/decorators.js';
import { finiteCell } from '../../src/analysis/presentation.js';
import type { AnswerTo } from '../../src/engine/contract/questions.js';
import { type Problem, SinkscopeError, toProblem } from '../../src/errors.js';
import type { Cells } from '../cells.js';
import '../controls.js';
import '../grid.js';
import type { CellEvent, CellSize, Grid } from '../grid.js';
import '../legend.js';
import { html } from '../html.js';
import { zoomVerbs } from '../icon.js';
import { exactWeight } from '../numbers.js';
import type { Scale } from '../scale.js';
import { quietButtonStyles } from '../styles.js';
import type { TableData } from '../table.js';
import { isFailure, View } from '../view.js';

type Pattern = AnswerTo<'pattern'>;

/** The square root shows weights of a few hundredths beside a sink's. */
const scale: Scale = {
  ramp: 'attention',
  from: 0,
  to: 1,
  at: Math.sqrt,
  ticks: [0, 0.1, 0.5, 1],
  format: (weight) => `${weight}`,
};
const size: CellSize = { width: [0.25, 24], height: [0.25, 24], plot: 360, square: true };

@customElement('sinkscope-attention-pattern')
export class AttentionPattern extends View {
  static override styles = [
    quietButtonStyles,
    css`
    p {
      margin: 4px 0;
      color: var(--muted);
    }
    .problem {
      color: var(--vscode-errorForeground);
    }
  `,
  ];

  /** Whether attention to other states is shown, where the block has any. */
  @state() private across = false;
  @state() private shown: { readonly key: string; readonly pattern: Pattern } | undefined;
  @state() private problem: { readonly key: string; readonly problem: Problem } | undefined;

  @query('sinkscope-grid') private grid!: Grid;

  #asked: string | undefined;
  #cells: Cells | undefined;

  override willUpdate(changed: PropertyValues<this>): void {
    const { layer, head } = this.#head() ?? {};
    const key = this.#key();
    if (key !== undefined && key !== this.#asked && layer !== undefined && head !== undefined) {
      this.#asked = key;
      void this.#fetch(key, layer, head);
    }
    if (!changed.has('scene') || this.differs(changed, 'findings')) this.#cells = this.#celled();
  }

  override render() {
    const head = this.#head();
    const key = this.#key();
    const ready = key !== undefined && this.shown?.key === key && this.#cells !== undefined;
    return this.figure({
      name: 'attention-pattern',
      heading: head
        ? `${this.#crossing() ? 'Cross-attention' : 'Attention'} pattern: layer ${head.layer}, head ${head.head}`
        : 'Attention pattern',
      note: head
        ? this.#crossing()
          ? 'tokens down, positions of the other states across'
          : 'queries down, keys across'
        : '',
      actions: html`${
        this.#hasCross()
          ? html`<button
            class="quiet"
            title="What this block's tokens look at in other states than their own, as in an encoder's"
            aria-pressed=${this.across}
            data-testid="cross-attention"
            @click=${() => {
              this.across = !this.across;
            }}
          >cross-attention</button>`
          : nothing
      }${ready ? this.#zoomButtons() : nothing}`,
      ...(ready ? { table: () => this.#table(), picture: (theme) => this.grid.picture(theme), scale } : {}),
      body: ready ? this.#picture() : this.#words(),
    });
  }

  #zoomButtons() {
    const zoom = (factor: number | undefined) => () => this.grid.zoom(factor);
    return zoomVerbs(' cells', zoom, { name: 'The whole pattern', title: 'The whole pattern (0)' });
  }

  #picture() {
    const select = (event: CellEvent) => {
      if (this.#crossing()) {
        this.select({ token: event.detail.row });
        return;
      }
      const token = event.detail.column - this.#offset();
      if (token >= 0 && token < this.scene.findings.tokens) this.select({ token });
    };
    const { token } = this.scene.selection;
    return html`<sinkscope-grid
      label="Attention pattern: weight by query and key"
      .cells=${this.#cells}
      .theme=${this.scene.theme}
      .size=${size}
      .selected=${this.#crossing() ? { row: token } : { column: token === undefined ? undefined : token + this.#offset() }}
      @cell=${select}
    ></sinkscope-grid>
    <sinkscope-legend .scale=${scale} .theme=${this.scene.theme}></sinkscope-legend>`;
  }

  #words() {
    const { problem } = this;
    if (problem === undefined || problem.key !== this.#key()) return html`<p>${this.#waiting()}</p>`;
    return html`<p class=${isFailure(problem.problem) ? 'problem' : ''}>${problem.problem.message}</p>`;
  }

  #waiting(): string {
    if (this.scene.findings.sinks.heads === 0) return 'There are no patterns to show.';
    if (this.#head() === undefined && !this.scene.answers)
      return 'No pattern was open when this was saved, and there is no model here to ask for one.';
    if (this.#head() === undefined) return 'Choose a head in the heatmap of sinks to see its pattern here.';
    if (this.#key() === undefined) return 'Patterns can be shown when the run has finished.';
    return 'Computing the pattern …';
  }

  #head(): { layer: number; head: number } | undefined {
    const { layer, head } = this.scene.selection;
    return layer !== undefined && layer > 0 && head !== undefined ? { layer, head } : undefined;
  }

  /** Whether the chosen block attends to other states. */
  #hasCross(): boolean {
    const { layer } = this.#head() ?? {};
    return layer !== undefined && this.scene.analysis.cross[layer - 1] !== undefined;
  }

  #crossing(): boolean {
    return this.across && this.#hasCross();
  }

  /** Names the pattern that is wanted; undefined while there can be none. */
  #key(): string | undefined {
    const head = this.#head();
    if (head === undefined || this.scene.analysis.status !== 'finished') return undefined;
    return `${this.scene.run} ${head.layer} ${head.head}${this.#crossing() ? ' cross' : ''}`;
  }

  async #fetch(key: string, layer: number, head: number): Promise<void> {
    try {
      const cross = this.#crossing() || undefined;
      const pattern = await this.scene.ask({ type: 'pattern', layer, head, cross });
      if (key !== this.#asked) return;
      this.shown = { key, pattern };
      await this.updateComplete;
      if (key !== this.#key()) return;
      await this.grid.updateComplete;
      // The grid takes its size when it is drawn, which is before this in the same frame.
      requestAnimationFrame(() => this.dispatchEvent(new CustomEvent('drawn')));
    } catch (error) {
      if (key !== this.#asked) return;
      if (SinkscopeError.is(error, 'cancelled')) this.#asked = undefined;
      else this.problem = { key, problem: toProblem(error) };
    }
  }

  /** Columns before the tokens' own, where the model has extra keys. */
  #offset(): number {
    if (this.#crossing()) return 0;
    const statistics = this.scene.analysis.attention.find((layer) => layer?.extra !== undefined);
    return statistics?.extra?.side === 'first' ? statistics.extra.columns : 0;
  }

  #keyName(column: number): string {
    if (this.#crossing()) return `position ${column}`;
    const token = column - this.#offset();
    return this.scene.findings.labels[token] ?? 'extra';
  }

  #celled(): Cells | undefined {
    if (this.shown === undefined) return undefined;
    const { queries, keys, values } = this.shown.pattern;
    const { labels } = this.scene.findings;
    return {
      rows: queries,
      columns: keys,
      shades: values.map((value, at) =>
        !this.#crossing() && value === 0 && at % keys > Math.floor(at / keys) + this.#offset()
          ? Number.NaN
          : scale.at(value),
      ),
      marks: [],
      rowLabel: (row) => (queries > 64 ? `${row} ${labels[row] ?? ''}` : (labels[row] ?? `${row}`)),
      ramp: scale.ramp,
      columnLabel: (column) => this.#keyName(column),
      text: undefined,
      describe: (row, column) => [
        `query ${labels[row] ?? ''} (${row}) → ${this.#crossing() ? this.#keyName(column) : `key ${this.#keyName(column)} (${column - this.#offset()})`}`,
        `weight ${exactWeight(values[row * keys + column] ?? Number.NaN)}`,
      ],
    };
  }

  #table(): TableData {
    const { queries, keys, values } = this.shown?.pattern ?? { queries: 0, keys: 0, values: new Float32Array() };
    const strongest = Array.from({ length: queries }, (_, row) => {
      const weights = Array.from(values.subarray(row * keys, (row + 1) * keys), (weight, column) => ({
        weight,
        column,
      }));
      return weights.sort((a, b) => b.weight - a.weight).slice(0, 3);
    });
    return {
      caption: 'The three keys that each query attends to most',
      columns: [
        { name: 'query' },
        ...['first', 'second', 'third'].flatMap((name) => [{ name }, { name: 'weight', format: 'fixed' as const }]),
      ],
      rows: queries,
      cells: (row) => [
        `${row} ${this.scene.findings.labels[row] ?? ''}`,
        ...[0, 1, 2].flatMap((rank) => {
          const key = strongest[row]?.[rank];
          return key ? [this.#keyName(key.column), finiteCell(key.weight)] : [null, null];
        }),
      ],
    };
  }
}
