/** Whatever a file calls things, the page shows it as text, with nothing hidden or turned about. */
import { expect, it } from 'vitest';
import type {} from '../../webview/dev/harness.js';
import { inFiles as names, unseen } from '../support/hostile.js';
import { webview } from './browser.js';

const { open } = webview();

it('names of tokens, models, documents, experiments and errors', async () => {
  const { page, said } = await open({ experiments: 'perplexity' });
  await page.evaluate(async (names) => {
    const { events } = await window.harness.loaded;
    const named = events.map((event) => {
      if (event.type === 'started')
        return { ...event, model: { ...event.model, name: names.join(' '), missing: names } };
      if (event.type !== 'tokens') return event;
      const tokens = event.tokens.map((token, i) => ({ ...token, text: names[i % names.length] ?? '' }));
      return { ...event, tokens };
    });
    window.harness.post({ type: 'replay', run: 2, events: named });
    window.harness.view({
      document: names.join(' '),
      models: names.map((name) => ({ file: `models/${name}/model.onnx`, name, origin: 'workspace' })),
      model: `models/${names[0]}/model.onnx`,
    });
    const failed = names.map((name, number) => {
      const problem = { code: 'file' as const, message: name };
      return { number, experiment: 'perplexity', title: name, status: 'failed' as const, problem };
    });
    window.harness.post({ type: 'experiments', message: { kind: 'runs', runs: failed } });
  }, names);

  /** All that the page says, shadow trees included: texts, and attributes that are read out. */
  const texts = () =>
    page.evaluate(() => {
      const all: string[] = [];
      const visit = (node: Node) => {
        if (node instanceof Text) all.push(node.data);
        if (node instanceof Element) {
          if (/^(SCRIPT|STYLE)$/.test(node.tagName)) return;
          for (const name of ['title', 'aria-label', 'alt', 'placeholder']) all.push(node.getAttribute(name) ?? '');
          if (node.shadowRoot) visit(node.shadowRoot);
        }
        for (const child of node.childNodes) visit(child);
      };
      visit(document.body);
      return all;
    });
  for (const turn of ['page-experiments', 'page-analysis']) {
    await page.getByTestId(turn).click();
    await page.getByText('Repair').first().waitFor({ state: 'attached' });
    const shown = (await texts()).map((text) => text.replace(/[\n\t]/g, ''));
    expect(shown.flatMap(unseen)).toEqual([]);
    expect(shown.join('\n')).toContain('\\u{202e}');
    await expect.poll(() => page.locator('a[href], script[src*="example"], img[src*="example"]').count()).toBe(0);
  }

  // What is chosen is told by its own name.
  await page.getByTestId('model').click();
  await page.getByTestId('model').getByRole('option', { name: 'zero\\u{200b}width' }).click();
  const [choice] = await said('choose-model');
  expect(choice?.file).toBe(`models/${names.find((name) => name.startsWith('zero'))}/model.onnx`);
});
