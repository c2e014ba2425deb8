/** What an experiment shows: its sentence and settings, then its parts, each with a table behind it. */
import { css, LitElement, nothing, type TemplateResult } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import {
  type Axis,
  type HeatmapPart,
  type Part,
  type Presentation,
  settingsLine,
  tableOf,
} from '../../src/analysis/presentation.js';
import type { Selection } from '../../src/analysis/selection.js';
import type { FromWebview } from '../../src/protocol.js';
import '../figure.js';
import type { TableEvent } from '../figure.js';
import '../grid.js';
import type { CellEvent, Grid } from '../grid.js';
import '../legend.js';
import type { DrawnPicture } from '../picture.js';
import { quietButtonStyles } from '../styles.js';
import { dataOf } from '../tabled.js';
import { unbroken } from '../terms.js';
import type { Theme } from '../theme.js';
import './chart.js';
import { html } from '../html.js';
import { verb, zoomVerbs } from '../icon.js';
import type { Chart } from './chart.js';
import { cellsOf, scaleOf, sizeOf } from './heatmap.js';

/** Where a cell of a heatmap leads, and of how many tokens of which model it is. */
export type LeadEvent = CustomEvent<{
  readonly selection: Selection;
  readonly tokens: number | undefined;
  readonly model: string | undefined;
}>;

/** Where a row leads: k of `h_k`, and the name of the model that it is of. */
export type GoToEvent = CustomEvent<{ readonly layer: number; readonly model: string | undefined }>;

@customElement('sinkscope-presentation')
export class PresentationView extends LitElement {
  static override styles = [
    quietButtonStyles,
    css`
      p {
        margin: 0;
        line-height: 1.5;
      }
      .sentence {
        font-size: 1.1em;
      }
      .settings {
        margin-top: 2px;
        font-size: 0.9em;
        color: var(--muted);
      }
      .warning {
        margin-top: 6px;
        padding: 4px 10px;
        border-left: 3px solid var(--vscode-editorWarning-foreground, var(--rule));
        background: var(--vscode-textBlockQuote-background, transparent);
      }
      .parts {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 18px 28px;
        margin-top: 14px;
      }
      @media (min-width: 900px) {
        .parts {
          grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
        }
        .wide {
          grid-column: 1 / -1;
        }
      }
    `,
  ];

  /** Of figures' names and of files. */
  @property() name = '';
  @property({ attribute: false }) presentation!: Presentation;
  @property({ attribute: false }) theme!: Theme;

  /** The panel's. */
  @property({ attribute: false }) selection: Selection = {};

  @state() private tables: ReadonlySet<string> = new Set();

  override render() {
    const { sentence, settings, warnings, parts } = this.presentation;
    return html`
      <p class="sentence">${unbroken(sentence)}</p>
      <p class="settings">${unbroken(settingsLine(settings))}</p>
      ${warnings.map((warning) => html`<p class="warning">${unbroken(warning)}</p>`)}
      <div class="parts" @table-toggled=${this.#onTable}>${parts.map((part, index) => this.#part(part, index))}</div>
    `;
  }

  #part(part: Part, index: number): TemplateResult {
    const name = `${this.name}-${index + 1}`;
    const drawn = part.kind !== 'table' && part.kind !== 'text';
    return html`<sinkscope-figure
      class=${isWide(part) ? 'wide' : ''}
      name=${name}
      heading=${part.heading}
      note=${noteOf(part)}
      .table=${drawn ? () => dataOf(tableOf(part)) : undefined}
      .rows=${part.kind === 'text' ? undefined : () => dataOf(tableOf(part))}
      .picture=${drawn ? (theme: Theme) => this.#picture(name, part, theme) : undefined}
      ?open=${this.tables.has(name)}
      ><span slot="actions">
        ${part.kind === 'heatmap' ? this.#zoomButtons(name) : nothing}
        ${part.kind === 'text' ? verb({ icon: 'copy', name: `Copy ${part.heading}`, title: 'Copy' }, () => this.#copy(part.paragraphs)) : nothing}</span
      >${this.#body(part, name)}</sinkscope-figure
    >`;
  }

  #body(part: Part, name: string): TemplateResult {
    switch (part.kind) {
      case 'table':
        return html`<sinkscope-table
          .data=${dataOf(part, this.selection)}
          @row=${({ detail }: CustomEvent<number>) => this.#goTo(part.layers?.[detail])}
        ></sinkscope-table>`;
      case 'text':
        return html`${part.paragraphs.map((paragraph) => html`<p>${paragraph}</p>`)}`;
      case 'heatmap':
        return this.#heatmap(part, name);
      default:
        return html`<sinkscope-chart data-part=${name} .chart=${part} .theme=${this.theme}></sinkscope-chart>`;
    }
  }

  #zoomButtons(name: string): TemplateResult {
    const zoom = (factor: number | undefined) => () =>
      this.renderRoot.querySelector<Grid>(`sinkscope-grid[data-part="${name}"]`)?.zoom(factor);
    return html`${zoomVerbs(' cells', zoom)}`;
  }

  #heatmap(part: HeatmapPart, name: string): TemplateResult {
    const scale = scaleOf(part);
    return html`<sinkscope-grid
        data-part=${name}
        label=${part.heading}
        .cells=${cellsOf(part, scale)}
        .theme=${this.theme}
        .size=${sizeOf(part)}
        .selected=${{ row: selectedOf(part.rows, this.selection), column: selectedOf(part.columns, this.selection) }}
        @cell=${({ detail: { row, column } }: CellEvent) => this.#lead(part, row, column)}
      ></sinkscope-grid>
      <sinkscope-legend .scale=${scale} .theme=${this.theme}></sinkscope-legend>`;
  }

  #lead({ rows, columns }: HeatmapPart, row: number, column: number): void {
    const selection: Selection = { ...placeOf(rows, row), ...placeOf(columns, column) };
    if (Object.keys(selection).length === 0) return;
    const tokens = [rows, columns].find(({ leads }) => leads?.to === 'token')?.labels.length;
    this.#say('lead', { selection, tokens, model: this.#model() } satisfies LeadEvent['detail']);
  }

  #model(): string | undefined {
    return this.presentation.settings.find(({ name }) => name === 'model')?.value;
  }

  #goTo(layer: number | undefined): void {
    if (layer === undefined) return;
    const model = this.#model();
    this.#say('layer', { layer, model } satisfies GoToEvent['detail']);
  }

  #say(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }

  #copy(paragraphs: readonly string[]): void {
    const message: FromWebview = { type: 'copy', text: paragraphs.join('\n') };
    this.#say('send', message);
  }

  #picture(name: string, part: Part, theme: Theme): DrawnPicture {
    const element = this.renderRoot.querySelector<HTMLElement & Pick<Chart | Grid, 'picture'>>(`[data-part="${name}"]`);
    if (element === null) throw new Error(`there is no picture ${name}`);
    const drawn = element.picture(theme);
    return part.kind === 'heatmap' ? { ...drawn, scale: scaleOf(part) } : drawn;
  }

  #onTable(event: TableEvent): void {
    event.stopPropagation();
    const { name, open } = event.detail;
    this.tables = new Set(open ? [...this.tables, name] : [...this.tables].filter((one) => one !== name));
  }
}

/** What the numbers of a picture are, and what lies along its sides. */
function noteOf(part: Part): string {
  if (part.kind === 'heatmap') return `${part.value.name} · ${part.rows.name}s down, ${part.columns.name}s across`;
  return 'value' in part ? part.value.name : 'y' in part ? part.y.name : '';
}

const placeOf = ({ leads }: Axis, index: number): Selection => {
  const value = leads?.values[index];
  return leads && value !== undefined ? { [leads.to]: value } : {};
};

const selectedOf = ({ leads }: Axis, selection: Selection): number | undefined => {
  const value = leads && selection[leads.to];
  const index = value === undefined ? -1 : (leads?.values.indexOf(value) ?? -1);
  return index < 0 ? undefined : index;
};

/** What needs the whole width: many columns. */
function isWide(part: Part): boolean {
  if (part.kind === 'heatmap') return part.columns.labels.length > 24 || part.texts !== undefined;
  return part.kind === 'table' && (part.columns.length > 6 || part.columns.some(({ range }) => range));
}
