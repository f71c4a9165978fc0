/**
 * What every part of the panel may use, handed down through React's context.
 */
import type { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { ITranslator, TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import * as React from 'react';

import type { PanelModel } from '../model/panel';
import type { Deed } from '../model/words';

/** Something of Lab that can be mentioned in a message: a cell, a notebook, a file. */
export interface IMention {
  id: string;
  label: string;
  hint: string;
  /** Puts it into the message: as text that is returned, or as an attachment. */
  apply(): string | Promise<string>;
}

/** What the panel asks of the application around it. */
export interface IActions {
  copy(text: string): void;
  /** Inserts code as a cell; null where there is no notebook to insert it into. */
  insertCell: ((code: string) => void) | null;
  openPath(path: string): Promise<void>;
  saveFile(id: string): Promise<void>;
  openFile(id: string): Promise<void>;
  /** Lets one pick files of this computer to attach. */
  pickFiles(): void;
  run(command: string, args?: Record<string, string>): void;
  menu(event: React.MouseEvent): void;
  mentions(): IMention[];
  deed(deed: Deed): void;
}

export interface IServices {
  model: PanelModel;
  trans: TranslationBundle;
  translator: ITranslator;
  rendermime: IRenderMimeRegistry;
  languages: IEditorLanguageRegistry | null;
  actions: IActions;
}

export const ServicesContext = React.createContext<IServices | null>(null);

export function useServices(): IServices {
  const services = React.useContext(ServicesContext);
  if (services === null) {
    throw new Error('The panel is rendered without its services.');
  }
  return services;
}

/** Renders again whenever one of the signals is emitted. */
export function useSignals(...signals: ReadonlyArray<ISignal<any, any>>): void {
  const [, tick] = React.useReducer((count: number) => count + 1, 0);
  React.useEffect(() => {
    for (const signal of signals) {
      signal.connect(tick);
    }
    tick(); // what happened between rendering and this
    return () => {
      for (const signal of signals) {
        signal.disconnect(tick);
      }
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [...signals]);
}

/** The time in milliseconds, anew every *every* milliseconds while *active*. */
export function useNow(every: number, active: boolean): number {
  const [now, setNow] = React.useState(() => Date.now());
  React.useEffect(() => {
    if (!active) {
      return;
    }
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), every);
    return () => clearInterval(timer);
  }, [every, active]);
  return now;
}

/** The result of a promise; undefined until it is there, null when it failed. */
export function usePromise<T>(
  make: () => Promise<T>,
  key: string
): T | undefined | null {
  const [result, setResult] = React.useState<{
    key: string;
    value: T | null;
  }>();
  React.useEffect(() => {
    let current = true;
    make().then(
      value => current && setResult({ key, value }),
      () => current && setResult({ key, value: null })
    );
    return () => {
      current = false;
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [key]);
  return result?.key === key ? result.value : undefined;
}
