/** What is inside the packaged extension, read from the vsix itself. */
import { stat } from 'node:fs/promises';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { openPromise } from 'yauzl';

const vsix = inject('vsix');
const names: string[] = [];

beforeAll(async () => {
  const zip = await openPromise(vsix);
  for await (const entry of zip.eachEntry()) names.push(entry.fileName);
});

describe('the package', () => {
  test('is under 100 MB', async () => {
    expect((await stat(vsix)).size).toBeLessThan(100e6);
  });

  test('holds the native files of its platform and of no other', () => {
    const { platform, arch } = process;
    const natives = names.filter((name) => /\.(node|dll|dylib|so)(\.|$)/.test(name));
    const runtime = natives.filter((name) => name.includes('/onnxruntime-node/'));
    const tokenizers = natives.filter((name) => name.includes('/tokenizers/'));
    expect(runtime).not.toEqual([]);
    expect(runtime.filter((name) => !name.includes(`/bin/napi-v6/${platform}/${arch}/`))).toEqual([]);
    expect(tokenizers).toHaveLength(1);
    expect(tokenizers[0]).toContain(`tokenizers.${platform}-${arch}`);
    expect(natives).toHaveLength(runtime.length + tokenizers.length);
  });

  test.for([
    'package.json',
    'package.nls.json',
    'package.nls.de.json',
    'l10n/bundle.l10n.de.json',
    'readme.md',
    'changelog.md',
    'docs/experiments.md',
    'LICENSE.txt',
    'dist/extension.js',
    'dist/engine.js',
    'dist/guard.js',
    'dist/cli.js',
    'dist/THIRD-PARTY-NOTICES.txt',
    'dist/webview/panel.js',
    'dist/corpus/three-men-in-a-boat.md',
    'dist/corpus/pit-and-pendulum.md',
    'media/icon.svg',
    'media/models/llama/model.onnx',
    'media/models/llama/model_cached.onnx',
    'media/models/llama/tokenizer.json',
    'media/models/llama-plain/model.onnx',
    'media/models/llama-sink/model.onnx',
    'media/models/llama-bias/model.onnx',
  ])('holds %s', (name) => {
    expect(names).toContain(`extension/${name}`);
  });

  test('holds nothing that only developers need', () => {
    const unwanted = /\.(ts|map|py|cff)$|^extension\/(src|test|tools|scripts|webview|docs\/(adding|decisions)|\.)/;
    const documents = names.filter((name) => /^extension\/[^/]+\.md$/.test(name));
    expect(documents.sort()).toEqual(['extension/changelog.md', 'extension/readme.md']);
    expect(names.filter((name) => unwanted.test(name))).toEqual([]);
    const packages = new Set(names.map((name) => /^extension\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(name)?.[1]));
    packages.delete(undefined);
    expect([...packages].sort()).toEqual([
      '@imagemagick/magick-wasm',
      'onnxruntime-common',
      'onnxruntime-node',
      'tokenizers',
    ]);
  });
});
