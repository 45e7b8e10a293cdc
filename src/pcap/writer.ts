/** Captures written, in either format. The room's front door, with reader.ts. */
import type { CapturedFrame } from './frame.ts';
import { type ByteOutput, FileOutput } from './output.ts';
import { PcapWriter } from './pcap-writer.ts';
import { PcapngWriter } from './pcapng-writer.ts';

/** A frame to be written; what is left out is unknown or 0. */
export type FrameToWrite = Pick<CapturedFrame, 'bytes' | 'timeNs'> &
  Partial<CapturedFrame> & {
    /** As its interface saw it; pcapng only. */
    readonly direction?: 'in' | 'out';
  };

export interface CaptureInterface {
  readonly name: string;
  readonly comment?: string;
}

export interface WriterOptions {
  /** pcapng only: classic pcap knows no interfaces. Default: one, named after nothing. */
  readonly interfaces?: readonly CaptureInterface[];
  /** Default: little. */
  readonly endian?: 'little' | 'big';
  /** Of classic pcap's times; default ns. */
  readonly resolution?: 'us' | 'ns';
}

export interface CaptureWriter {
  /** @throws RangeError for what the format cannot hold */
  write(frame: FrameToWrite): void;
  flush(): void;
  close(): void;
}

export type CaptureFormat = 'pcap' | 'pcapng';

/** By the ending of the name: `.pcap` and `.cap` are classic, all else (and standard output) is pcapng. */
export function formatOf(path: string): CaptureFormat {
  return /\.p?cap$/i.test(path) ? 'pcap' : 'pcapng';
}

/** @param path `-` for standard output. @throws the file system's error */
export function createCapture(path: string, options: WriterOptions = {}): CaptureWriter {
  return captureWriter(new FileOutput(path), formatOf(path), options);
}

/** Writes the head of the file at once. */
export function captureWriter(output: ByteOutput, format: CaptureFormat, options: WriterOptions = {}): CaptureWriter {
  return format === 'pcap' ? new PcapWriter(output, options) : new PcapngWriter(output, options);
}
