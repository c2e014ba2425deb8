/** What a head that is no vocabulary's gives, in the place of predictions: classes, scores, places, embeddings. */
import { css, nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import { type OutputLine, outputHeading, outputLines } from '../../src/analysis/outputs.js';
import { finiteCell } from '../../src/analysis/presentation.js';
import type { HeadOutput } from '../../src/engine/contract/events.js';
import { html } from '../html.js';
import type { TableData } from '../tabled.js';
import { View } from '../view.js';

/** Lines of one output that have room. */
const room = 24;

@customElement('sinkscope-outputs')
export class Outputs extends View {
  static override styles = css`
    h4 {
      margin: 8px 0 4px;
      font-weight: normal;
      color: var(--muted);
    }
    table {
      border-spacing: 10px 2px;
      margin-left: -10px;
      font-variant-numeric: tabular-nums;
    }
    th {
      font-weight: normal;
      text-align: left;
      font-family: var(--vscode-editor-font-family, monospace);
      white-space: pre;
    }
    td + td {
      text-align: right;
    }
    button {
      all: unset;
      cursor: pointer;
    }
    button:focus-visible {
      outline: 1px solid var(--vscode-focusBorder);
    }
    p {
      margin: 4px 0;
      color: var(--muted);
    }
  `;

  override render() {
    const outputs = this.scene.analysis.outputs?.outputs ?? [];
    const token = this.scene.selection.token;
    const perToken = outputs.some(({ rows }) => rows.length > 1);
    const note = perToken && token !== undefined ? `of ${this.#name(token)} (token ${token})` : '';
    return this.figure({
      name: 'outputs',
      heading: 'Output',
      note,
      ...(outputs.length > 0 && { rows: () => this.#table() }),
      body: html`${outputs.map((output) => this.#output(output, token))}`,
    });
  }

  #output(output: HeadOutput, token: number | undefined) {
    const perToken = output.rows.length > 1;
    const lines = outputLines(output, perToken ? { token, most: token === undefined ? 1 : 10 } : {});
    return html`
      <h4>${outputHeading(output)}</h4>
      ${lines.length === 0 ? html`<p>[${output.shape.join(', ')}]</p>` : nothing}
      <table>
        ${lines.slice(0, room).map((line) => this.#line(line, output.kind === 'places'))}
      </table>
      ${lines.length > room ? html`<p>and ${lines.length - room} more: click a token</p>` : nothing}
    `;
  }

  #line({ token, label, value, share }: OutputLine, isPlace: boolean) {
    const name =
      token === undefined ? label : html`<button @click=${() => this.select({ token })}>${this.#name(token)}</button>`;
    return html`<tr>
      <th scope="row">${name}</th>
      <td>${token === undefined || isPlace ? '' : label}</td>
      <td>${share}</td>
      <td>${value}</td>
    </tr>`;
  }

  /** All that is known of all outputs. */
  #table(): TableData {
    const rows = (this.scene.analysis.outputs?.outputs ?? []).flatMap((output) =>
      output.rows.flatMap(({ token, norm, top }) =>
        (top.length > 0 ? top : [{ index: null, label: 'norm', value: norm, probability: undefined }]).map((entry) => [
          output.name,
          token ?? null,
          entry.index,
          entry.label,
          finiteCell(entry.value),
          finiteCell(entry.probability),
        ]),
      ),
    );
    return {
      caption: 'Outputs',
      columns: ['output', 'token', 'index', 'label', 'value', 'probability'].map((name) => ({ name })),
      rows: rows.length,
      cells: (row) => rows[row] ?? [],
    };
  }

  #name(token: number): string {
    return this.scene.findings.labels[token] ?? `${token}`;
  }
}
