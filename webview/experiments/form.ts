/** What to run: an experiment, and a field for each of its inputs. Empty fields are left to the defaults. */
import { css, html, LitElement, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import type { Selection } from '../../src/analysis/selection.js';
import type { ExperimentAction, ModelChoice } from '../../src/protocol.js';
import '../controls.js';
import type { Choices } from './state.js';

type Facts = Choices['experiments'][number];
type Input = Facts['inputs'][string];
type Value = string | number | readonly string[];

export type ActionEvent = CustomEvent<ExperimentAction>;

@customElement('sinkscope-experiment-form')
export class ExperimentForm extends LitElement {
  static override styles = css`
    :host {
      display: block;
    }
    .row {
      display: flex;
      flex-wrap: wrap;
      align-items: end;
      gap: 8px 12px;
    }
    p {
      margin: 6px 0 8px;
      color: var(--muted);
    }
    label,
    .field,
    fieldset {
      display: flex;
      flex-direction: column;
      gap: 2px;
      margin: 0;
      padding: 0;
      border: none;
      font-size: 0.9em;
      color: var(--muted);
    }
    fieldset div {
      display: flex;
      flex-wrap: wrap;
      gap: 2px 12px;
    }
    fieldset label {
      flex-direction: row;
      align-items: center;
      color: var(--vscode-foreground);
    }
    legend {
      padding: 0;
    }
    input,
    select {
      box-sizing: border-box;
      height: 26px;
      padding: 2px 6px;
      color: var(--vscode-input-foreground);
      background: var(--vscode-input-background);
      border: 1px solid var(--vscode-input-border, var(--vscode-contrastBorder, var(--rule)));
      border-radius: 2px;
      font: inherit;
    }
    input[type='number'] {
      width: 110px;
    }
    input[type='checkbox'] {
      height: auto;
    }
    select {
      color: var(--vscode-dropdown-foreground);
      background: var(--vscode-dropdown-background);
      border-color: var(--vscode-dropdown-border, var(--vscode-contrastBorder, var(--rule)));
    }
    input::placeholder {
      color: var(--vscode-input-placeholderForeground, var(--muted));
    }
    input:focus-visible,
    select:focus-visible {
      outline: 1px solid var(--vscode-focusBorder);
      outline-offset: -1px;
    }
    .picker {
      min-width: min(320px, 100%);
      height: 28px;
    }
  `;

  @property({ attribute: false }) choices!: Pick<Choices, 'experiments' | 'texts'>;
  @property({ attribute: false }) models: readonly ModelChoice[] = [];
  @property({ type: Boolean }) running = false;
  /** What is selected in the run that the other page shows. */
  @property({ attribute: false }) selection: Selection = {};

  /** The experiment that was run last, shown until another one is chosen. */
  @property() latest: string | undefined;

  @state() private chosen: string | undefined;
  /** What was typed, by experiment and input. */
  @state() private typed: Readonly<Record<string, Value>> = {};

  override render() {
    const { experiments } = this.choices;
    const facts = experiments.find(({ id }) => id === (this.chosen ?? this.latest)) ?? experiments[0];
    if (facts === undefined) return nothing;
    return html`
      <form
        @submit=${(event: Event) => {
          event.preventDefault();
          this.#act({ do: 'run', experiment: facts.id, values: this.#values(facts) });
        }}
        @keydown=${(event: KeyboardEvent) => {
          if (event.key === 'Enter' && event.target instanceof HTMLInputElement) this.#submit();
        }}
      >
        <div class="row">
          <label
            >Experiment
            <select
              class="picker"
              data-testid="experiment"
              @change=${(event: Event) => {
                this.chosen = entered(event);
              }}
            >
              ${experiments.map(({ id, title }) => html`<option value=${id} ?selected=${id === facts.id}>${title}</option>`)}
            </select></label
          >
        </div>
        <p>${facts.description}</p>
        <div class="row">
          ${Object.entries(facts.inputs).map(([name, input]) => this.#field(facts, name, input))}
          ${this.#selected(facts)}
          <vscode-button data-testid="run-experiment" @click=${this.#submit}>Run</vscode-button>
          ${
            this.running
              ? html`<vscode-button
                  appearance="secondary"
                  data-testid="stop-experiment"
                  @click=${() => this.#act({ do: 'stop' })}
                >Stop</vscode-button>`
              : nothing
          }
        </div>
      </form>
    `;
  }

  /** As a person does it: fields are checked first. */
  #submit(): void {
    this.renderRoot.querySelector('form')?.requestSubmit();
  }

  #field({ id }: Facts, name: string, input: Input) {
    const key = `${id} ${name}`;
    const typed = this.typed[key];
    const put = (value: Value) => {
      this.typed = { ...this.typed, [key]: value };
    };
    switch (input.kind) {
      case 'text':
      case 'texts':
      case 'files':
        return html`<span class="field"
          >${input.label}
          <vscode-button
            appearance="secondary"
            aria-label="${input.label}: ${this.choices.texts[name] ?? 'choose a file'}"
            data-testid="text-${name}"
            @click=${() => this.#act({ do: 'choose-text', input: name })}
            >${this.choices.texts[name] ?? (input.kind === 'files' || input.kind === 'texts' ? 'Choose files …' : input.optional ? 'None: choose a file …' : 'Choose a file …')}</vscode-button
          ></span
        >`;
      case 'choice':
        return html`<label
          >${input.label}
          <select name=${name} @change=${(event: Event) => put(entered(event))}>
            ${input.choices.map((choice) => html`<option ?selected=${choice === typed}>${choice}</option>`)}
          </select></label
        >`;
      case 'model':
        return html`<label
          >${input.label}
          <select name=${name} @change=${(event: Event) => put(entered(event))}>
            <option value="">Choose …</option>
            ${this.models.map(({ file, name }) => html`<option value=${file} ?selected=${file === typed}>${name}</option>`)}
          </select></label
        >`;
      case 'models':
        return this.#models(input.label, typed, put);
      default:
        return html`<label
          >${input.label}
          <input
            name=${name}
            type=${input.kind === 'words' ? 'text' : 'number'}
            min=${'least' in input ? input.least : nothing}
            step=${input.kind === 'number' ? 'any' : nothing}
            placeholder=${placeholderOf(input)}
            .value=${typed === undefined ? '' : `${typed}`}
            @change=${(event: Event) => put(entered(event))}
        /></label>`;
    }
  }

  /** Fills tokens, dims and block with what is selected. */
  #selected({ id, inputs }: Facts) {
    const { token, dim, layer } = this.selection;
    if (token === undefined || !('tokens' in inputs && 'dims' in inputs && 'block' in inputs)) return nothing;
    const fill = () => {
      this.typed = {
        ...this.typed,
        [`${id} tokens`]: `${token}`,
        ...(dim !== undefined && { [`${id} dims`]: `${dim}` }),
        ...(layer !== undefined && { [`${id} block`]: `${layer}` }),
      };
    };
    const parts = [
      `token ${token}`,
      ...(dim === undefined ? [] : [`dim ${dim}`]),
      ...(layer === undefined ? [] : [`layer ${layer}`]),
    ];
    return html`<vscode-button appearance="secondary" @click=${fill}>Take ${parts.join(', ')}</vscode-button>`;
  }

  #models(label: string, typed: Value | undefined, put: (value: Value) => void) {
    const picked = Array.isArray(typed) ? typed : this.#bundled();
    const toggle = (file: string, on: boolean) => put(on ? [...picked, file] : picked.filter((one) => one !== file));
    return html`<fieldset>
      <legend>${label}</legend>
      <div>
        ${this.models.map(
          ({ file, name }) => html`<label
            ><input
              type="checkbox"
              .checked=${picked.includes(file)}
              @change=${({ target }: Event) => toggle(file, target instanceof HTMLInputElement && target.checked)}
            />${name}</label
          >`,
        )}
      </div>
    </fieldset>`;
  }

  /** The demo models are variants of one model, made to be compared. */
  #bundled(): readonly string[] {
    return this.models.filter(({ origin }) => origin === 'bundled').map(({ file }) => file);
  }

  #values({ id, inputs }: Facts): Record<string, Value> {
    const values: Record<string, Value> = {};
    for (const [name, input] of Object.entries(inputs)) {
      const typed = this.typed[`${id} ${name}`];
      if (input.kind === 'models') values[name] = Array.isArray(typed) ? typed : this.#bundled();
      else if (typed !== undefined && typed !== '')
        values[name] = input.kind === 'whole' || input.kind === 'number' ? Number(typed) : typed;
    }
    return values;
  }

  #act(action: ExperimentAction): void {
    this.dispatchEvent(new CustomEvent('experiment-action', { detail: action, bubbles: true, composed: true }));
  }
}

function entered({ target }: Event): string {
  return target instanceof HTMLInputElement || target instanceof HTMLSelectElement ? target.value : '';
}

/** What an empty field means. */
function placeholderOf(input: Input): string {
  if ('default' in input && input.default !== undefined) return `${input.default}`;
  return 'open' in input ? (input.open ?? '') : '';
}
