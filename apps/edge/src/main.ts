import { describeError } from '@antirio/kernel';
import { createProgram } from './cli.ts';

try {
  await createProgram().parseAsync();
} catch (error) {
  process.stderr.write(`antirio: ${describeError(error)}\n`);
  process.exitCode = 1;
}
