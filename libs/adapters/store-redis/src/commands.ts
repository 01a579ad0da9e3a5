/** A command of Redis with what it is given. */
export type Command = readonly (string | number | Uint8Array)[];

/** Commands of which those from the second on are left out when the first one, a guard, answers with this number. */
export interface Unit {
  readonly guard: Command;
  /** `HSETNX` and `HDEL` answer 0 when there was nothing to be done; `EXISTS` 1 when there is something. */
  readonly unless: 0 | 1;
  readonly commands: readonly Command[];
  /** Whether it is told if the commands were done. */
  readonly told: boolean;
}

/** Always done. */
export interface Plain {
  readonly commands: readonly Command[];
}

type Argument = string | number | Uint8Array;

const plainly = (command: Command): Argument[] => [command.length, 0, '', ...command];

/** As `COMMIT` reads it: of each command its length, the length of what it may leave out, and when; then the command. */
export function argumentsOf(units: readonly (Unit | Plain)[]): Argument[] {
  const all: Argument[] = [];
  for (const unit of units) {
    const rest = unit.commands.flatMap(plainly);
    if ('guard' in unit)
      all.push(unit.guard.length, rest.length, `${unit.unless}${unit.told ? 'told' : ''}`, ...unit.guard);
    // not by spreading: there may be more than fit on the stack
    for (const argument of rest) all.push(argument);
  }
  return all;
}

/** Before a script: it writes although the memory is full. Redis knows it from 7 on. */
export const ALSO_WHEN_FULL = '#!lua flags=allow-oom';

/**
 * Does all of a batch, or nothing: keys are the owner and the last batch; arguments the owner's token, the batch's number, and commands.
 * A batch that was done already is answered as it was then. A digit for each guard that is told: whether its commands were done.
 */
export const COMMIT = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('FENCED another process has the store') end
if redis.call('HGET', KEYS[2], 'batch') == ARGV[2] then return redis.call('HGET', KEYS[2], 'told') end
local told, i = {}, 3
while i <= #ARGV do
  local argc, rest, guard = tonumber(ARGV[i]), tonumber(ARGV[i + 1]), ARGV[i + 2]
  local answer = redis.call(unpack(ARGV, i + 3, i + 2 + argc))
  i = i + 3 + argc
  if guard ~= '' then
    local done = answer ~= tonumber(string.sub(guard, 1, 1))
    if not done then i = i + rest end
    if #guard > 1 then told[#told + 1] = done and '1' or '0' end
  end
end
local text = table.concat(told)
redis.call('HSET', KEYS[2], 'batch', ARGV[2], 'told', text)
return text`;

/** Takes the store over: from anybody, or only from the process itself, whose name is the first argument then. Answers with the last batch's number. */
export const CLAIM = `
local owner = redis.call('GET', KEYS[1])
if ARGV[1] ~= '' and (not owner or string.sub(owner, 1, #ARGV[1]) ~= ARGV[1]) then
  return redis.error_reply('FENCED another process has the store, or it was emptied')
end
redis.call('SET', KEYS[1], ARGV[2])
return redis.call('HGET', KEYS[2], 'batch') or '0'`;
