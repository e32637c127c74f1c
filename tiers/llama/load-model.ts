// Gets the model into memory: finds the file and loads it with llama.cpp's CPU build that came with the packages.
// Says in words what is wrong with a file, and what to do. Builds and downloads nothing, except a model that is
// asked for by its Hugging Face name. The contexts that decode with it are made in adapted-context.ts.

import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, open } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { getLlama, type Llama, LlamaLogLevel, type LlamaModel, resolveModelFile } from 'node-llama-cpp';
import { EngineError } from '../engine.ts';

/** The part of a pino logger that the engine uses. */
export interface EngineLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface ModelOptions {
  /** PARLEY_HOME: models are looked for under `cache/models`. */
  readonly home: string;
  /** A .gguf file, `hf:user/repo:quantization`, or empty for the model that set-up fetched. */
  readonly model: string;
  readonly threads: number;
}

export interface LoadedModel {
  readonly llama: Llama;
  readonly model: LlamaModel;
  readonly file: string;
  /** A plain name for clients and metrics. */
  readonly name: string;
  /** Tells it from other weights. */
  readonly sample: Buffer;
  /** What llama.cpp said when it last failed: it says so in its log alone. Whoever tries something empties it. */
  readonly complaints: string[];
}

/** The model that set-up puts into `cache/models`. */
export const defaultModelFile = 'SmolLM2-135M-Instruct.Q4_1.gguf';

/** Loads the model. Throws EngineError `unavailable`, naming the file and what to do. */
export async function loadModel(options: ModelOptions, log: EngineLog | undefined): Promise<LoadedModel> {
  const file = await findModel(options);
  await checkGguf(file);

  const complaints: string[] = [];
  const llama = await getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    maxThreads: options.threads,
    logLevel: LlamaLogLevel.warn,
    logger: (level, message) => {
      const severe = level === LlamaLogLevel.error || level === LlamaLogLevel.fatal;
      if (severe && complaints.length < 4) complaints.push(message.trim());
      log?.[severe ? 'warn' : 'debug']({ from: 'llama.cpp' }, message.trimEnd());
    },
  }).catch((cause: unknown) => {
    throw new EngineError(
      'unavailable',
      `llama.cpp could not be started: ${words(cause)}. Is the package @node-llama-cpp for this platform installed? Run \`npm ci\`.`,
      { cause },
    );
  });
  try {
    const model = await llama.loadModel({ modelPath: file });
    const sample = await sampleFile(file);
    return { llama, model, file, name: plainName(model.filename ?? file), sample, complaints };
  } catch (cause) {
    await llama.dispose();
    const why = [words(cause), ...complaints].join('; ');
    throw new EngineError(
      'unavailable',
      `The model ${file} could not be loaded: ${why}. ` +
        'If the file is damaged or cut off, delete it and fetch it again (`npm start` does that for the default model); ' +
        'if memory is short, take a smaller model.',
      { cause },
    );
  }
}

async function findModel({ home, model }: ModelOptions): Promise<string> {
  const models = join(home, 'cache', 'models');
  if (model === '') return join(models, defaultModelFile);
  if (!model.startsWith('hf:')) return resolve(model);
  try {
    await mkdir(models, { recursive: true });
    return await resolveModelFile(model, { directory: models, cli: false });
  } catch (cause) {
    throw new EngineError(
      'unavailable',
      `The model ${model} could not be fetched from Hugging Face: ${words(cause)}. Without network, put a .gguf file on disk and set PARLEY_MODEL to its path.`,
      { cause },
    );
  }
}

/** llama.cpp's own words for a wrong file are not for people who run a game. */
async function checkGguf(file: string): Promise<void> {
  const advice = `Run \`npm start\` once to fetch the default model, or set PARLEY_MODEL to a .gguf file.`;
  try {
    await access(file, constants.R_OK);
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const state = missing ? 'is not there' : 'cannot be read';
    throw new EngineError('unavailable', `The model file ${file} ${state}. ${advice}`, { cause });
  }
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    if (bytesRead === 4 && buffer.toString('latin1') === 'GGUF') return;
  } finally {
    await handle.close();
  }
  throw new EngineError('unavailable', `The model file ${file} is no GGUF file. ${advice}`);
}

/** Size and samples of a file: tells two models apart without reading all of their gigabytes. */
async function sampleFile(file: string): Promise<Buffer> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const hash = createHash('sha256').update(String(size));
    const piece = Buffer.alloc(65_536);
    for (let i = 0; i < 32; i++) {
      const { bytesRead } = await handle.read(piece, 0, piece.length, Math.floor((size * i) / 32));
      hash.update(piece.subarray(0, bytesRead));
    }
    return hash.digest();
  } finally {
    await handle.close();
  }
}

/** `SmolLM2-135M-Instruct.Q4_1.gguf` without folder and ending. */
function plainName(file: string): string {
  return (file.split(/[/\\]/).at(-1) ?? file).replace(/\.gguf$/i, '').replace(/-\d{5}-of-\d{5}$/, '');
}

export function words(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
