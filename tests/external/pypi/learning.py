# SPDX-License-Identifier: BSD-3-Clause
"""Machine learning. See __init__.py for what a row is."""

TORCH = "numpy torch torchvision transformers lightning"  # one environment for all of them: it has several GB

PROGRAMS = {
    "torch": (TORCH, """
        import torch
        torch.manual_seed(1)
        torch.set_num_threads(1)
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        x = torch.linspace(-1, 1, 64).reshape(16, 4)
        losses = []
        for step in range(20):
            loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        torch.save(model.state_dict(), "model.pt")
        back = torch.load("model.pt", weights_only=True)
        print(losses[-1] < losses[0], sorted(back), torch.equal(back["0.bias"], model[0].bias), torch.cuda.is_available())
        print(torch.jit.script(model)(x).shape, torch.fft.fft(x[0]).shape, torch.linalg.det(torch.eye(3)).item())
        """),
    "torch-dataloader": (TORCH, """
        import multiprocessing, torch, torch.utils.data

        class Squares(torch.utils.data.Dataset):
            def __len__(self):
                return 32

            def __getitem__(self, i):
                import fractions  # by the worker, for the first time
                return torch.tensor(float(fractions.Fraction(i) ** 2))

        if __name__ == "__main__":
            for method in "fork", "spawn":
                loader = torch.utils.data.DataLoader(Squares(), batch_size=4, num_workers=2, multiprocessing_context=method)
                print(method, sum(batch.sum().item() for batch in loader))
        """),
    "torch-distributed": (TORCH, """
        import torch, torch.distributed as dist, torch.multiprocessing as mp

        def work(rank, file):
            dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
            t = torch.ones(4) * (rank + 1)
            dist.all_reduce(t)
            assert t.tolist() == [3.0] * 4
            dist.destroy_process_group()

        if __name__ == "__main__":
            import os
            mp.spawn(work, args=(os.path.abspath("rendezvous"),), nprocs=2)
            print("done", torch.__version__)
        """),
    "torch-compile": (TORCH, """
        import torch
        torch.set_num_threads(1)

        @torch.compile
        def f(x):
            return torch.sin(x) ** 2 + torch.cos(x) ** 2

        print(torch.allclose(f(torch.linspace(0, 1, 1000)), torch.ones(1000)))
        """),
    "torchvision": (TORCH, """
        import torch, torchvision
        from torchvision.transforms import v2
        torch.manual_seed(1)
        image = torch.randint(0, 255, (3, 32, 32), dtype=torch.uint8)
        torchvision.io.write_png(image, "a.png")
        assert torch.equal(torchvision.io.read_image("a.png"), image)
        model = torchvision.models.resnet18(weights=None).eval()
        with torch.no_grad():
            print(model(v2.ToDtype(torch.float32, scale=True)(image)[None]).shape)
        print(torchvision.ops.nms(torch.tensor([[0, 0, 9, 9], [0, 0, 8, 9], [20, 20, 30, 30.0]]), torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist())
        """),
    "transformers": (TORCH, """
        import torch, transformers
        torch.manual_seed(1)
        torch.set_num_threads(1)
        config = transformers.GPT2Config(vocab_size=50, n_positions=16, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
        model = transformers.GPT2LMHeadModel(config)
        ids = torch.arange(8)[None]
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        model.save_pretrained("saved")
        again = transformers.AutoModelForCausalLM.from_pretrained("saved")
        print(torch.allclose(again(ids).logits, model(ids).logits, atol=1e-5), loss.item() > 0)
        print(again.generate(ids, max_new_tokens=4, do_sample=False, attention_mask=torch.ones_like(ids)).shape)
        """),
    "lightning": (TORCH, """
        import lightning, torch

        class Line(lightning.LightningModule):
            def __init__(self):
                super().__init__()
                self.layer = torch.nn.Linear(1, 1)

            def training_step(self, batch, index):
                x, y = batch
                return (self.layer(x) - y).square().mean()

            def configure_optimizers(self):
                return torch.optim.SGD(self.parameters(), lr=0.1)

        x = torch.linspace(0, 1, 64)[:, None]
        data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, 2 * x + 1), batch_size=16)
        from lightning.pytorch.plugins.environments import LightningEnvironment
        trainer = lightning.Trainer(max_epochs=3, accelerator="cpu", logger=False, enable_progress_bar=False,
                                    enable_model_summary=False, plugins=[LightningEnvironment()])
        trainer.fit(Line(), data)
        print(trainer.global_step, trainer.current_epoch)
        """),
    "jax": ("jax", """
        import jax, jax.numpy as jnp
        grad = jax.jit(jax.grad(lambda x: jnp.sum(jnp.sin(x) ** 2)))
        x = jnp.linspace(0.0, 1.0, 8)
        print(bool(jnp.allclose(grad(x), jnp.sin(2 * x), atol=1e-5)), jax.devices()[0].platform)
        print(jax.vmap(lambda a: a @ a)(jnp.ones((3, 4, 4))).shape, float(jax.lax.fori_loop(0, 10, lambda i, s: s + i, 0.0)))
        """),
    "tensorflow-cpu": ("tensorflow-cpu", """
        import tensorflow as tf
        tf.random.set_seed(1)
        model = tf.keras.Sequential([tf.keras.layers.Input((2,)), tf.keras.layers.Dense(4, activation="relu"), tf.keras.layers.Dense(1)])
        model.compile(optimizer="sgd", loss="mse")
        x = tf.reshape(tf.linspace(0.0, 1.0, 32), (16, 2))
        history = model.fit(x, tf.reduce_sum(x, axis=1), epochs=3, verbose=0).history["loss"]
        model.save("model.keras")
        again = tf.keras.models.load_model("model.keras")
        print(len(history), bool(tf.reduce_all(tf.abs(again(x) - model(x)) < 1e-5)))
        data = tf.data.Dataset.range(10).map(lambda v: v * v, num_parallel_calls=2).batch(5)
        print([batch.numpy().tolist() for batch in data])
        """),
    "scikit-learn": ("scikit-learn", """
        import numpy, sklearn.datasets
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.model_selection import cross_val_score
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        import joblib
        if __name__ == "__main__":
            x, y = sklearn.datasets.load_iris(return_X_y=True)
            model = make_pipeline(StandardScaler(), RandomForestClassifier(10, random_state=1, n_jobs=1))
            print(cross_val_score(model, x, y, cv=4, n_jobs=2).round(6).tolist())  # loky's processes
            joblib.dump(model.fit(x, y), "model.joblib")
            print((joblib.load("model.joblib").predict(x) == y).mean())
        """),
    "ray": ("ray", """
        import os, ray
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=os.path.abspath("r"), object_store_memory=100 << 20)

        @ray.remote
        def square(n):
            import fractions  # by the worker, for the first time
            return int(fractions.Fraction(n) ** 2)

        @ray.remote
        class Counter:
            def __init__(self):
                self.n = 0

            def add(self, k):
                self.n += k
                return self.n

        print(sum(ray.get([square.remote(n) for n in range(8)])))
        counter = Counter.remote()
        print(ray.get([counter.add.remote(k) for k in range(4)]))
        ray.shutdown()
        """),
}
