export { readCommandLine, UsageError, wholeNumber } from './command-line.ts';
