// Drives NiiVue's Jupyter module as a notebook does, through anywidget's protocol: models with get, set, on, off.
const data = JSON.parse(document.getElementById("case").textContent);
const note = document.getElementById("viewer-note");
const place = document.getElementById("viewer");
const [IMAGE, REFERENCE, PREDICTION] = ["image", "reference", "prediction"];
const VIEWS = { all: 3, axial: 0, coronal: 1, sagittal: 2, "3d": 4 };

const decode = (text) => Uint8Array.from(atob(text.trim()), (one) => one.charCodeAt(0));
const unpack = async (bytes) => {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
};

class Model {
  _comm_live = false; // voxels are not sent back
  constructor(values, onSend = () => {}) {
    this.values = values;
    this.onSend = onSend;
    this.listeners = {};
  }
  get(key) { return this.values[key]; }
  set(key, value) { this.values[key] = value; }
  save_changes() {}
  send_sync_message() {}
  on(event, listener) { (this.listeners[event] ??= []).push(listener); }
  off(event, listener) {
    this.listeners[event] = listener ? (this.listeners[event] ?? []).filter((one) => one !== listener) : [];
  }
  send(content) { this.onSend(content); }
  fire(event, ...values) { for (const one of this.listeners[event] ?? []) one(...values); }
  change(key, value) { this.set(key, value); this.fire(`change:${key}`); }
  command(type, ...values) { this.fire("msg:custom", { type, data: values }, []); }
}

const lut = () => {
  const colours = [0, 0, 0, 0];
  const shown = [...document.querySelectorAll("#labels input")].map((one) => one.checked);
  data.labels.forEach(({ colour }, i) => {
    for (const start of [1, 3, 5]) colours.push(parseInt(colour.slice(start, start + 2), 16));
    colours.push(shown[i] ? 255 : 0);
  });
  return { lut: colours, min: 0, max: data.labels.length, labels: ["", ...data.labels.map((one) => one.name)] };
};

const volume = (key, more) => new Model({
  id: key, name: `${key}.nii.gz`, data: new DataView(decode(data.volumes[key]).buffer), path: {}, url: null,
  paired_img_path: {}, paired_img_url: "", paired_img_data: null, colormap: "gray", opacity: 1, cal_min: 0,
  cal_max: 255, cal_min_neg: NaN, cal_max_neg: NaN, colormap_negative: "", frame_4d: 0, colorbar_visible: false,
  colormap_type: 0, colormap_invert: false, modulation_image: null, modulate_alpha: 0, colormap_label: null, ...more,
});

// NiiVue shows the planes and the volume as a grid (2) or as a row (3): choose the larger display.
const layout = (height) => {
  const [x, y, z] = data.extent;
  const grid = Math.min(place.clientWidth / (x + y), height / (y + z));
  const row = Math.min(place.clientWidth / (3 * x + y), height / Math.max(y, z));
  return grid >= row ? 2 : 3;
};

async function start() {
  if (!document.createElement("canvas").getContext("webgl2")) {
    throw new Error("this browser does not support WebGL 2, which the 3D view needs; the pictures above show the same labels");
  }
  const code = await unpack(decode(document.getElementById("niivue").textContent));
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const { default: niivue } = await import(url);
  URL.revokeObjectURL(url);

  const volumes = {
    [IMAGE]: volume(IMAGE, {}),
    [REFERENCE]: volume(REFERENCE, { colormap_label: lut(), opacity: 0, cal_max: data.labels.length }),
    [PREDICTION]: volume(PREDICTION, { colormap_label: lut(), opacity: 0.6, cal_max: data.labels.length }),
  };
  const sliders = [...document.querySelectorAll("[data-axis]")];
  const at = [...data.start];
  let located = false;
  const onSend = ({ event, data: found }) => {
    if (event !== "location_change") return;
    located = true;
    found.vox.forEach((value, i) => { at[i] = Math.round(value); });
    sliders.forEach((one) => { one.value = String(at[one.dataset.axis]); });
  };
  const height = Math.max(320, Math.min(640, Math.round(place.clientWidth * 0.75)));
  const options = {
    sliceType: VIEWS.all, multiplanarShowRender: 1, isRadiologicalConvention: true, isOrientationTextVisible: data.oriented,
    crosshairColor: [1, 1, 1, 0.6], crosshairWidth: 0.15, crosshairWidthUnit: "percent", backColor: [0, 0, 0, 1], fontColor: [1, 1, 1, 1],
    fontMinPx: 15, isAntiAlias: true, dragAndDropEnabled: false, loadingText: "", multiplanarLayout: layout(height),
    isColorbar: false, atlasOutline: 0, show3Dcrosshair: true, sagittalNoseLeft: true, logLevel: "silent",
  };
  const model = new Model({
    opts: options, volumes: Object.keys(volumes).map((key) => `IPY_MODEL_${key}`), meshes: [],
    height,
    background_masks_overlays: false, draw_lut: null, draw_opacity: 0, draw_fill_overwrites: true, graph: null,
    scene: null, overlay_outline_width: 0, overlay_alpha_shader: 1, this_model_id: null,
  }, onSend);
  model.widget_manager = { get_model: async (key) => volumes[key] };
  await niivue.initialize({ model });
  await niivue.render({ model, el: place });
  const canvas = place.querySelector("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `case ${data.case}: image with labels in three planes and as a volume`);

  const redraw = () => model.command("draw_scene");
  model.change("scene", { crosshairPos: at.map((value, i) => (value + 0.5) / data.size[i]) });
  redraw();
  const layers = [...document.querySelectorAll("[name=layer]")];
  const strength = document.getElementById("strength");
  const showLayer = () => {
    const chosen = layers.find((one) => one.checked).value;
    for (const key of [REFERENCE, PREDICTION]) {
      volumes[key].change("opacity", key === chosen ? Number(strength.value) : 0);
    }
  };
  for (const one of [...layers, strength]) one.addEventListener("input", showLayer);
  const showLabels = () => {
    for (const key of [REFERENCE, PREDICTION]) volumes[key].change("colormap_label", lut());
  };
  for (const one of document.querySelectorAll("#labels input")) one.addEventListener("change", showLabels);
  document.getElementById("all-labels").addEventListener("click", () => {
    const boxes = [...document.querySelectorAll("#labels input")];
    const on = !boxes.every((one) => one.checked);
    for (const one of boxes) one.checked = on;
    showLabels();
  });
  for (const one of document.querySelectorAll("[name=view]")) {
    one.addEventListener("input", () => {
      model.change("opts", { sliceType: VIEWS[one.value] });
      redraw();
    });
  }
  for (const one of sliders) {
    const axis = Number(one.dataset.axis);
    one.max = String(data.size[axis] - 1);
    one.value = String(at[axis]);
    one.addEventListener("input", () => {
      const move = [0, 0, 0];
      move[axis] = Number(one.value) - at[axis];
      located = false;
      model.command("move_crosshair_in_vox", ...move);
      if (!located) at[axis] = Number(one.value);
    });
  }
  const turn = { renderAzimuth: "azimuth", renderElevation: "elevation" };
  for (const id of Object.values(turn)) {
    document.getElementById(id).addEventListener("input", () => {
      model.change("scene", Object.fromEntries(
        Object.entries(turn).map(([key, name]) => [key, Number(document.getElementById(name).value)])));
      redraw();
    });
  }
  document.getElementById("controls").disabled = false;
  note.textContent = "";
  place.dataset.ready = "yes";
}

start().catch((error) => {
  place.hidden = true;
  note.textContent = `The 3D view could not start: ${error.message}`;
});
