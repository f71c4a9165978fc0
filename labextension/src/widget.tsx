import { ReactWidget } from '@jupyterlab/ui-components';
import type { Drag } from '@lumino/dragdrop';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import { Panel } from './view/Panel';
import type { IServices } from './view/services';

/** The MIME type under which JupyterLab's file browser drags paths. */
const CONTENTS_MIME = 'application/x-jupyter-icontents';

/** The panel as a widget of the sidebar: takes what is dropped, and Escape. */
export class CodeInterpreterPanel extends ReactWidget {
  constructor(
    private readonly _services: IServices,
    private readonly _onFirstShow: () => void
  ) {
    super();
    this.addClass('jp-CIPanel');
  }

  render(): JSX.Element {
    return <Panel services={this._services} />;
  }

  /** Puts the cursor into the message. */
  focusMessage(): void {
    requestAnimationFrame(() => this._find('textarea')?.focus());
  }

  handleEvent(event: Event): void {
    switch (event.type) {
      case 'lm-dragenter':
      case 'lm-dragover':
        this._onLabDrag(event as Drag.Event);
        break;
      case 'lm-drop':
        this._onLabDrop(event as Drag.Event);
        break;
      case 'dragenter':
      case 'dragover':
        this._onDrag(event as DragEvent);
        break;
      case 'drop':
        this._onDrop(event as DragEvent);
        break;
      case 'lm-dragleave':
      case 'dragleave':
        this._onLeave(event as DragEvent);
        break;
      case 'keydown':
        this._onKeyDown(event as KeyboardEvent);
        break;
    }
  }

  protected onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    EVENTS.forEach(name => this.node.addEventListener(name, this));
  }

  protected onBeforeDetach(msg: Message): void {
    EVENTS.forEach(name => this.node.removeEventListener(name, this));
    super.onBeforeDetach(msg);
  }

  protected onBeforeShow(msg: Message): void {
    super.onBeforeShow(msg);
    if (!this._shown) {
      this._shown = true;
      this._onFirstShow();
    }
  }

  protected onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    this.focusMessage();
  }

  private _onLabDrag(event: Drag.Event): void {
    if (event.mimeData.hasData(CONTENTS_MIME)) {
      event.preventDefault();
      event.stopPropagation();
      event.dropAction = event.proposedAction;
      this._hint(true);
    }
  }

  private _onLabDrop(event: Drag.Event): void {
    this._hint(false);
    if (event.mimeData.hasData(CONTENTS_MIME)) {
      event.preventDefault();
      event.stopPropagation();
      event.dropAction = 'copy';
      for (const path of event.mimeData.getData(CONTENTS_MIME) as string[]) {
        void this._services.model.attachments.attach(path);
      }
      this._services.model.show('thread');
    }
  }

  private _onDrag(event: DragEvent): void {
    if (event.dataTransfer?.types.includes('Files')) {
      event.preventDefault();
      event.dataTransfer.dropEffect = 'copy';
      this._hint(true);
    }
  }

  private _onDrop(event: DragEvent): void {
    this._hint(false);
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length > 0) {
      event.preventDefault();
      event.stopPropagation();
      const { model } = this._services;
      files.forEach(file => void model.attachments.upload(file, file.name));
      model.show('thread');
    }
  }

  private _onLeave(event: DragEvent): void {
    if (!this.node.contains(event.relatedTarget as Node | null)) {
      this._hint(false);
    }
  }

  private _onKeyDown(event: KeyboardEvent): void {
    const { model } = this._services;
    if (event.key !== 'Escape' || event.defaultPrevented) {
      return;
    }
    if (model.view === 'threads') {
      // In a search that is not empty, the key empties it.
      if (!(event.target as HTMLInputElement).value) {
        event.preventDefault();
        model.show('thread');
      }
    } else if (model.thread.running) {
      event.preventDefault();
      void model.thread.stop();
    }
  }

  private _hint(on: boolean): void {
    this.toggleClass('jp-mod-drop', on);
  }

  private _find(selector: string): HTMLElement | null {
    return this.node.querySelector<HTMLElement>(selector);
  }

  private _shown = false;
}

const EVENTS = [
  'dragenter',
  'dragover',
  'dragleave',
  'drop',
  'lm-dragenter',
  'lm-dragover',
  'lm-dragleave',
  'lm-drop',
  'keydown'
];
