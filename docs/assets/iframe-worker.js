/** Runs the search of a page that was opened from its folder, where a browser starts no worker: in a hidden frame. */

class IFrameWorker extends EventTarget {
  constructor(url) {
    super();
    this.frame = document.createElement("iframe");
    this.frame.hidden = true;
    document.body.append(this.frame);
    this.inside = this.frame.contentWindow;
    this.inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
    // Not at once, as in a worker: the search knows of that by this class's name, and awaits it.
    this.inside.importScripts = async (...urls) => {
      for (const each of urls) await this.load(each);
    };
    this.loaded = this.load(url);
  }

  load(url) {
    const script = this.inside.document.createElement("script");
    script.src = url;
    return new Promise((resolve, reject) => {
      script.onload = resolve;
      script.onerror = reject;
      this.inside.document.body.append(script);
    });
  }

  async postMessage(data) {
    await this.loaded;
    this.inside.dispatchEvent(new this.inside.MessageEvent("message", { data }));
  }

  terminate() {
    this.frame.remove();
  }
}

if (location.protocol === "file:") {
  window.IFrameWorker = IFrameWorker;
  window.Worker = IFrameWorker;
}
