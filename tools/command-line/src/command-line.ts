import { parseArgs, type ParseArgsConfig } from 'node:util';

/** What is wrong with a command line, in words for whoever typed it. */
export class UsageError extends Error {}

type Flags = NonNullable<ParseArgsConfig['options']>;

/** Values by flag, and what stands beside the flags. */
type Parsed<F extends Flags> = ReturnType<
  typeof parseArgs<{ args: string[]; options: F; allowPositionals: true }>
>;

export interface CommandLine<F extends Flags, T> {
  /** Begins with what to type, as in a shell. */
  readonly usage: string;
  readonly flags: F;
  /** What stands beside the flags, at most. None where it is left out. */
  readonly positionals?: number;
  /** Makes the command's own options of it. Throws `UsageError`. */
  readonly read: (parsed: Parsed<F>) => T;
}

const WRONG = 2;
const MOST = 999_999_999;

/** The whole number that a flag was given, from `least` to `most`. Throws `UsageError`. */
export function wholeNumber(flag: string, text: string, least: number, most = MOST): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new UsageError(`--${flag} is a whole number from ${least} to ${most}, not ${text}`);
}

function parse<F extends Flags, T>({ flags, positionals = 0, read }: CommandLine<F, T>, argv: string[]): T {
  const parsed = parseArgs({ args: argv, options: flags, allowPositionals: true });
  const [surplus] = parsed.positionals.slice(positionals);
  if (surplus !== undefined) throw new UsageError(`${surplus} is one word too many`);
  return read(parsed);
}

function isAboutUsage(error: unknown): error is Error {
  const code = error instanceof TypeError && 'code' in error ? String(error.code) : '';
  return error instanceof UsageError || code.startsWith('ERR_PARSE_ARGS');
}

/**
 * The options of the command that this process is. Where help is asked for, or the command line is wrong, it tells the usage
 * and ends the process: with 0, or with 2 and what is wrong on stderr.
 */
export function readCommandLine<F extends Flags, T>(command: CommandLine<F, T>): T {
  const argv = process.argv.slice(2);
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(command.usage);
    process.exit(0);
  }
  try {
    return parse(command, argv);
  } catch (error) {
    if (!isAboutUsage(error)) throw error;
    process.stderr.write(`${error.message}\n\n${command.usage}`);
    process.exit(WRONG);
  }
}
