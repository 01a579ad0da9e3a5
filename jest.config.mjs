// Tests are apart by kind, because the kinds differ in what they need and in how long they may take.
// Run with NODE_OPTIONS=--experimental-vm-modules (`npm test` sets it): sources and tests are ES modules.

const seconds = (n) => n * 1000;
const INTEGRATION = String.raw`\.int\.test\.ts$`;
const LAB = String.raw`\.lab\.test\.ts$`;

const base = {
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { [String.raw`\.ts$`]: '<rootDir>/tools/workspace/src/strip-types.ts' },
  modulePathIgnorePatterns: ['/dist/', '/node_modules/.cache/'],
};

// The time limits are there for what hangs: they say nothing of speed, and a machine that is slow at moments keeps them.
const kind = (displayName, testMatch, timeoutMs, extra = {}) => ({
  ...base,
  displayName,
  testMatch: testMatch.map((pattern) => `<rootDir>/${pattern}`),
  globals: { testTimeoutMs: timeoutMs },
  setupFilesAfterEnv: ['<rootDir>/tools/workspace/src/jest-setup.ts'],
  ...extra,
});

export default {
  maxWorkers: 2,
  testSequencer: '<rootDir>/tools/workspace/src/longest-first.ts',
  // Modules of a test file stay in its worker's heap; where memory is short, collecting garbage takes seconds then.
  workerIdleMemoryLimit: '1GB',
  projects: [
    kind('unit', ['{apps,libs,tools}/**/*.test.ts'], seconds(120), {
      testPathIgnorePatterns: ['/node_modules/', INTEGRATION, LAB],
    }),
    kind('integration', ['{apps,libs,tools}/**/*.int.test.ts'], seconds(240)),
    kind('sim', ['sim/**/*.test.ts'], seconds(600)),
    kind('e2e', ['e2e/**/*.test.ts'], seconds(600)),
    kind('lab', ['tools/**/*.lab.test.ts'], seconds(600)),
  ],
};
