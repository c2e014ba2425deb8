/** Token × expert of one block of a mixture: to which experts tokens were sent, and with what weights. */
import { css, type PropertyValues } from 'lit';
import { customElement, query } from 'lit/decorators.js';
import { loadOf, massiveByExpert } from '../../src/analysis/experts.js';
import { formatShare, formatValue } from '../../src/analysis/format.js';
import { finiteCell } from '../../src/analysis/presentation.js';
import { greatest } from '../../src/statistics/numbers.js';
import type { RoutingStatistics } from '../../src/statistics/statistics.js';
import type { Cells, Mark } from '../cells.js';
import { kindsOf } from '../findings.js';
import '../grid.js';
import type { CellEvent, CellSize, Grid } from '../grid.js';
import '../legend.js';
import { html } from '../html.js';
import { formatWeight } from '../numbers.js';
import { linearScale, type Scale } from '../scale.js';
import { keyStyles } from '../styles.js';
import type { TableData } from '../table.js';
import { View } from '../view.js';

const size: CellSize = { width: [6, 44], height: [8, 16], plot: 400 };

/** An expert, and the most that it made of a massive activation. */
const saidOf = ({ expert, made }: { expert: number; made: number | undefined }) =>
  made === undefined ? `${expert}` : `${expert} (which made ${formatValue(made)})`;

@customElement('sinkscope-expert-heatmap')
export class ExpertHeatmap extends View {
  static override styles = [
    keyStyles,
    css`
      p {
        margin: 4px 0;
        color: var(--muted);
      }
    `,
  ];

  @query('sinkscope-grid') private grid!: Grid;

  #layer = 0;
  #routing: RoutingStatistics | undefined;
  #cells!: Cells;
  #scale!: Scale;

  override willUpdate(changed: PropertyValues<this>): void {
    if (!this.differs(changed, 'findings', 'selection')) return;
    this.#layer = this.#shownLayer();
    const found = this.scene.analysis.routing[this.#layer - 1];
    this.#routing = found && !('why' in found) ? found : undefined;
    if (!this.#routing) return;
    const { weights } = this.#routing;
    this.#scale = linearScale(0, Math.max(greatest([...weights], 0), 1e-9), formatWeight, 'attention');
    this.#cells = this.#celled(this.#routing);
  }

  override render() {
    const heading = `Experts: token × expert of block ${this.#layer}`;
    const routing = this.#routing;
    if (!routing) return this.figure({ name: 'experts', heading, note: '', body: html`<p>${this.#unknown()}</p>` });
    const { token } = this.scene.selection;
    const weigh = routing.multiplies === 'outputs' ? 'what experts give' : 'what experts read';
    return this.figure({
      name: 'experts',
      heading,
      note: `${routing.chosen} of ${routing.experts} for each token; weights that multiply ${weigh}`,
      table: () => this.#table(routing),
      picture: (theme) => this.grid.picture(theme),
      scale: this.#scale,
      body: html`
        <sinkscope-grid
          label="Weights of the experts of block ${this.#layer} that each token was sent to"
          .cells=${this.#cells}
          .theme=${this.scene.theme}
          .size=${size}
          .selected=${{ row: undefined, column: token }}
          @cell=${(event: CellEvent) => this.select({ token: event.detail.column, layer: this.#layer })}
        ></sinkscope-grid>
        <div class="key">
          <sinkscope-legend .scale=${this.#scale} .theme=${this.scene.theme}></sinkscope-legend>
          <span>experts down, tokens across; frames: tokens with massive or large activations, where they were sent</span>
        </div>
        <p>${this.#words(routing)}</p>
      `,
    });
  }

  /** The selected block where it has experts, else the first that has. */
  #shownLayer(): number {
    const { routing } = this.scene.analysis;
    const { layer } = this.scene.selection;
    if (layer !== undefined && routing[layer - 1]) return layer;
    return routing.findIndex((found) => found !== undefined) + 1;
  }

  #unknown(): string {
    const found = this.scene.analysis.routing[this.#layer - 1];
    return found && 'why' in found ? `The routing of this block is not known: ${found.why}.` : '';
  }

  #words(routing: RoutingStatistics): string {
    const load = [...loadOf(routing).entries()].toSorted((a, b) => b[1] - a[1]);
    const [busiest] = load;
    const unused = load.filter(([, share]) => share === 0).length;
    const massive = massiveByExpert(this.scene.analysis, this.scene.thresholds, this.#layer);
    return [
      busiest ? `Expert ${busiest[0]} got ${formatShare(busiest[1])} of the tokens, the most` : '',
      unused > 0 ? `${unused} got none` : 'each got some',
      massive.length > 0
        ? `tokens whose massive activations arise in this block went to ${massive.map(saidOf).join(', ')}`
        : 'no massive activation arises in this block',
    ].join('; ');
  }

  #celled({ tokens, experts, chosen, indices, weights }: RoutingStatistics): Cells {
    const { labels } = this.scene.findings;
    const kinds = kindsOf(this.scene.findings);
    const shades = new Float32Array(experts * tokens).fill(Number.NaN);
    const exact = new Map<number, number>();
    const marks: Mark[] = [];
    for (const [place, expert] of indices.entries()) {
      const token = Math.floor(place / chosen);
      const weight = weights[place] ?? Number.NaN;
      shades[expert * tokens + token] = this.#scale.at(weight);
      exact.set(expert * tokens + token, weight);
      const kind = kinds.get(token);
      if (kind !== undefined) marks.push({ row: expert, column: token, kind });
    }
    const weightAt = (expert: number, token: number) => exact.get(expert * tokens + token);
    return {
      rows: experts,
      columns: tokens,
      shades,
      ramp: this.#scale.ramp,
      marks,
      rowLabel: (expert) => `expert ${expert}`,
      columnLabel: (token) => labels[token] ?? `${token}`,
      text: (expert, token) => formatWeight(weightAt(expert, token) ?? Number.NaN),
      describe: (expert, token) => {
        const weight = weightAt(expert, token);
        const title = `${labels[token] ?? ''} · token ${token} · expert ${expert} of block ${this.#layer}`;
        return [title, weight === undefined ? 'not sent there' : `weight ${formatWeight(weight)}`];
      },
    };
  }

  #table({ tokens, chosen, indices, weights }: RoutingStatistics): TableData {
    const { labels } = this.scene.findings;
    const slots = Array.from({ length: chosen }, (_, slot) => slot);
    return {
      caption: `Experts of block ${this.#layer} that each token was sent to, with their weights`,
      columns: [
        { name: 'token' },
        ...slots.flatMap(() => [
          { name: 'expert', format: 'plain' as const },
          { name: 'weight', format: 'fixed' as const },
        ]),
      ],
      rows: tokens,
      cells: (token) => [
        `${token} ${labels[token] ?? ''}`,
        ...slots.flatMap((slot) => {
          const place = token * chosen + slot;
          return [finiteCell(indices[place]), finiteCell(weights[place])];
        }),
      ],
    };
  }
}
