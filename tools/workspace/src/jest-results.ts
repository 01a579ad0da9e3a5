/** The part of `jest --json` (FormattedTestResults) that the summary is made from. */
export interface JestResults {
  readonly testResults: readonly JestFile[];
}

export interface JestFile {
  readonly name: string;
  readonly status: string;
  readonly message: string;
  readonly assertionResults: readonly JestAssertion[];
}

export interface JestAssertion {
  readonly fullName: string;
  readonly status: string;
  readonly failureMessages?: readonly string[] | null;
}

export interface Failure {
  readonly file: string;
  readonly name: string;
  readonly message: string;
}

export interface Skip {
  readonly file: string;
  readonly name: string;
  readonly reason: string;
}

export interface Summary {
  readonly passed: number;
  readonly failures: readonly Failure[];
  /** Failed in the whole run and passed by themselves; counted as passed. */
  readonly unsteady: readonly Failure[];
  readonly skips: readonly Skip[];
}

export const nothing: Summary = { passed: 0, failures: [], unsteady: [], skips: [] };

const SKIP_NOTE = /^(?<name>.*) \[skipped: (?<reason>.*)\]$/s;

/**
 * Counts what a run of jest did. A file that failed without any of its tests failing (it could not be loaded)
 * counts as one failure.
 *
 * @param namePattern as given to `jest -t`: tests that it left out are no skips
 */
export function summarise(results: JestResults, namePattern?: RegExp): Summary {
  return results.testResults.map((file) => summariseFile(file, namePattern)).reduce(combine, nothing);
}

export function combine(one: Summary, other: Summary): Summary {
  return {
    passed: one.passed + other.passed,
    failures: [...one.failures, ...other.failures],
    unsteady: [...one.unsteady, ...other.unsteady],
    skips: [...one.skips, ...other.skips],
  };
}

/** More files than these are a fault of the code and not of a loaded machine. */
const FEW_FILES = 8;

/** Tests begin so what must never be, not even once: no later attempt clears it. */
const isFinal = ({ message }: Failure): boolean => /^(?:\w*Error: )?broken promise\b/m.test(message);

/** The files that are worth a further attempt; none where too much failed. */
export function filesToRepeat({ failures }: Summary): string[] {
  const files = [...new Set(failures.filter((one) => !isFinal(one)).map(({ file }) => file))];
  return files.length <= FEW_FILES ? files : [];
}

/** What was known and a further attempt at the files that failed until now say together. */
export function furtherAttempt(first: Summary, again: Summary): Summary {
  // a run that broke off, or a file that could not be loaded, tells nothing of its tests
  if (again.passed === 0 || again.failures.some(({ name }) => name.startsWith('('))) return first;
  const key = ({ file, name }: Failure): string => `${file} > ${name}`;
  const still = new Set(again.failures.map(key));
  const unsteady = first.failures.filter((one) => !still.has(key(one)) && !isFinal(one));
  const before = new Set(first.failures.map(key));
  const fresh = again.failures.filter((one) => !before.has(key(one)));
  const failures = [...first.failures.filter((one) => !unsteady.includes(one)), ...fresh];
  const passed = first.passed + unsteady.length;
  return { ...first, passed, failures, unsteady: [...first.unsteady, ...unsteady] };
}

/** The last line of a test run. */
export function countsLine({ passed, failures, skips }: Summary): string {
  return `${passed} passed, ${failures.length} failed, ${skips.length} skipped`;
}

function summariseFile(file: JestFile, namePattern?: RegExp): Summary {
  const tests = file.assertionResults;
  const failures = tests.filter(({ status }) => status === 'failed').map((test) => failureOf(file, test));
  if (file.status === 'failed' && failures.length === 0) {
    failures.push({ file: file.name, name: '(the file could not be run)', message: file.message });
  }
  return {
    passed: tests.filter(({ status }) => status === 'passed').length,
    failures,
    unsteady: [],
    skips: tests
      .filter(({ status, fullName }) => isSkip(status) && (namePattern?.test(fullName) ?? true))
      .map((test) => skipOf(file, test)),
  };
}

function isSkip(status: string): boolean {
  return status !== 'passed' && status !== 'failed';
}

function failureOf(file: JestFile, test: JestAssertion): Failure {
  return { file: file.name, name: test.fullName, message: (test.failureMessages ?? []).join('\n') };
}

function skipOf(file: JestFile, test: JestAssertion): Skip {
  const { name, reason } = SKIP_NOTE.exec(test.fullName)?.groups ?? {};
  return { file: file.name, name: name ?? test.fullName, reason: reason ?? unexplained(test.status) };
}

function unexplained(status: string): string {
  return status === 'todo' ? 'not written yet' : 'no reason given';
}
