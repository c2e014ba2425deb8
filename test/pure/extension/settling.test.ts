import { describe, expect, it } from 'vitest';
import { looked, nextStep, type Settling, unseen } from '../../../src/extension/settling.js';

/** What is done after each look at files of these versions; a version that is tried and can be read is done. */
function steps(versions: readonly (string | undefined)[], readable: (version: string) => boolean, first?: string) {
  let settling: Settling = unseen;
  let done = first;
  return versions.map((version) => {
    settling = looked(settling, version);
    const step = nextStep(settling, done);
    if (step !== 'wait' && version !== undefined && readable(version)) done = version;
    return step;
  });
}
const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

describe('files that are looked at while they are written', () => {
  it('are left alone as long as they change, and tried once when they stay as they are', () => {
    expect(steps(['a', 'b', 'c', 'c', 'd', 'd', 'd', 'd', 'd'], () => true)).toEqual([
      ...times(6, 'wait'),
      'try',
      'wait',
      'wait',
    ]);
  });

  it('are not tried as they were', () => {
    expect(steps(times(30, 'a'), () => true, 'a')).toEqual(times(30, 'wait'));
  });

  it('are tried at every look where they cannot be read, and told of only after a while', () => {
    const half = steps(times(23, 'half'), () => false);
    expect(half.slice(0, 11)).toEqual(['wait', 'wait', ...times(8, 'try'), 'tell']);
    expect(half.slice(11)).toEqual([...times(9, 'wait'), 'tell', 'wait', 'wait']);
  });

  it('are nothing to try while the model is gone, which is told where it stays so', () => {
    expect(steps(['a', ...times(5, undefined), 'b', 'b', 'b'], () => true, 'a')).toEqual([...times(8, 'wait'), 'try']);
    expect(steps(['a', ...times(11, undefined)], () => true, 'a')).toEqual([...times(11, 'wait'), 'tell']);
  });
});
