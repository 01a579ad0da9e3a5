import { expect, test } from '@jest/globals';
import { checkArchitecture } from './architecture.ts';

const nothing = (): boolean => false;

test.each([
  ['amd64', 'x64'],
  ['386', 'x64'],
  ['arm64', 'arm64'],
  ['arm', 'arm64'],
  // an image that does not say
  [undefined, 'arm64'],
])('an image for %s runs on %s', (architecture, own) => {
  expect(() => checkArchitecture(architecture, own, nothing)).not.toThrow();
});

test('an image for another processor is refused with what to do', () => {
  expect(() => checkArchitecture('arm64', 'x64', nothing)).toThrow(
    'the image is for arm64, and this machine is amd64: its customer has to store one that is built for amd64, or this machine has to emulate arm64 (apt install qemu-user-static)',
  );
  expect(() => checkArchitecture('amd64', 'arm64', nothing)).toThrow('built for arm64');
  expect(() => checkArchitecture('arm64', 'arm', nothing)).toThrow('built for arm');
});

test('unless this machine emulates it', () => {
  expect(() => checkArchitecture('arm64', 'x64', (wanted) => wanted === 'arm64')).not.toThrow();
});
